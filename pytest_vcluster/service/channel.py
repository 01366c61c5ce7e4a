"""A worker's connection to the run service.

The one rule: synchronous, and every wait has a deadline that counts from the last news, so that a build of binaries may
take its minutes while a service that hangs may not.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable

from pytest_vcluster.errors import LeaseLost, Timeout
from pytest_vcluster.service.peer import peer_pid
from pytest_vcluster.service.protocol import Failed, Message, Progress, decode, encode
from pytest_vcluster.service.wire_errors import rebuild_error

_AT_ONCE = 65536


class ServiceGone(LeaseLost):
    """The connection broke: the service died without a word. One that ends in an orderly way says so."""

    @classmethod
    def because(cls, how: str) -> ServiceGone:
        """Say `how` it was noticed."""
        return cls(
            f"The run service ended while it was needed: {how}.\n"
            "Somebody killed it, or the machine ran out of memory (see the kernel's log)."
        )


class Channel:
    """Messages to and from the service, over a connected socket that is the channel's from now on."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._received = b""
        self.service_pid = peer_pid(connection)
        self.open = True

    def close(self) -> None:
        """Close it; harmless if it is."""
        self.open = False
        self._socket.close()

    def send(self, message: Message) -> None:
        """Send `message`; ServiceGone if it is."""
        try:
            self._socket.sendall(encode(message))
        except OSError as error:
            raise ServiceGone.because(str(error)) from error

    def receive(self, *, timeout: float) -> Message | None:
        """The next message; None if there is none within `timeout` seconds. ServiceGone if it is."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._received:
            left = max(0.0, deadline - time.monotonic())
            if not self._is_readable(left):
                return None
            try:
                piece = self._socket.recv(_AT_ONCE)
            except OSError as error:
                raise ServiceGone.because(str(error)) from error
            if not piece:
                raise ServiceGone.because("its connection was closed")
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        return decode(line)

    def answer(
        self,
        step: str,
        *,
        timeout: float,
        on_progress: Callable[[str], None] = lambda _: None,
        on_other: Callable[[Message], bool] = lambda _: False,
    ) -> Message:
        """Wait for an answer, at most `timeout` seconds from the last news.

        Raises what the service failed with, Timeout with what was last seen, and ServiceGone. `on_other` may take
        messages that are no answer.
        """
        last_seen = "nothing from the run service"
        began = news = time.monotonic()
        while True:
            message = self.receive(timeout=news + timeout - time.monotonic())
            if message is None:
                raise Timeout(step, elapsed=time.monotonic() - began, last_seen=last_seen)
            if isinstance(message, Failed):
                raise rebuild_error(message.error)
            if isinstance(message, Progress):
                last_seen, news = message.text, time.monotonic()
                if not message.quiet:
                    on_progress(message.text)
            elif not on_other(message):
                return message

    def _is_readable(self, seconds: float) -> bool:
        # poll, where there is one: select can't take the high descriptors of a process with many open files.
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        with contextlib.suppress(ValueError):
            return bool(select.select([self._socket], [], [], seconds)[0])
        return True

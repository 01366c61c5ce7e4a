"""One client's connection, as the service sees it.

The one rule: it ends when the client's process does, even if a child that the client forked still holds the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from pytest_vcluster.service.peer import peer_pid
from pytest_vcluster.service.protocol import Message, decode, encode
from pytest_vcluster.service.reaper import started
from pytest_vcluster.service.watch import watch

LONGEST_LINE = 16 * 2**20


class Connection:
    """Messages in and out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        under: socket.socket = writer.get_extra_info("socket")
        self.pid = peer_pid(under)
        self.started = started(self.pid) if self.pid else ""
        self._stop_watching = watch(self.pid, self.started, self._gone) if self.started else None

    async def receive(self) -> Message | None:
        """Wait for the next message; None at the end, and for whoever doesn't speak our language."""
        try:
            line = await self._reader.readline()
            return decode(line) if line else None
        except (OSError, ValueError):
            return None

    def send(self, message: Message) -> None:
        """Send `message`; harmless if nobody is there any more."""
        if not self._writer.is_closing():
            with contextlib.suppress(OSError):
                self._writer.write(encode(message))

    async def close(self) -> None:
        """Send what is left and close."""
        if self._stop_watching is not None:
            self._stop_watching()
        with contextlib.suppress(OSError):
            self._writer.close()
            await self._writer.wait_closed()

    def _gone(self) -> None:
        self._writer.transport.abort()
        self._reader.feed_eof()

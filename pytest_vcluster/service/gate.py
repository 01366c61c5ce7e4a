"""The gate: a lease's own TCP entry to its API server.

A test's clients know the gate's address only, so closing it cuts everything of an ended lease at once, and no late
request of the old test can reach the cluster of the next. The one rule: bytes pass unseen and undelayed, and a port is
never used twice on one address, because clients cache what a server offers under its address.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable
from typing import cast

from pytest_vcluster.errors import ProvisionError

_BACKLOG = 512
_AT_ONCE = struct.pack("ii", 1, 0)
_ATTEMPTS = 50
_EXHAUSTED = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.EMFILE, errno.ENFILE)


class Gate:
    """An open gate; made by `open_gate`."""

    def __init__(self, backend: tuple[str, int]) -> None:
        self._backend = backend
        self._server: asyncio.Server | None = None
        self._ends: set[_End] = set()
        self.address: tuple[str, int] = ("", 0)

    async def listen(self, listener: socket.socket) -> None:
        """Let connections in through `listener`, which is the gate's from now on."""
        loop = asyncio.get_running_loop()
        self.address = listener.getsockname()[:2]
        self._server = await loop.create_server(self._enter, sock=listener, backlog=_BACKLOG)

    def close(self) -> None:
        """Stop listening and cut all connections, at once and in the middle of whatever they do."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for end in tuple(self._ends):
            end.cut()

    def _enter(self) -> asyncio.Protocol:
        return _Entry(self._backend, self._ends)


class _End(asyncio.Protocol):
    """One of the two connections that are spliced."""

    def __init__(self, ends: set[_End]) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None
        self._ends = ends

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        # asyncio does so only for sockets that were made with the protocol's number, which accepted ones may not be.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ends.add(self)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        if self.other is not None and self.other.transport is not None and self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return True  # this side may still have something to receive

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ends.discard(self)
        other, self.other = self.other, None
        if other is not None and other.transport is not None:
            # What was received before an orderly end is still delivered.
            (other.transport.close if exc is None else other.transport.abort)()

    def cut(self) -> None:
        if self.transport is None:
            return
        under: socket.socket | None = self.transport.get_extra_info("socket")
        if under is not None and under.fileno() >= 0:
            # A reset, so that nobody takes the end for an orderly one, and no socket lingers.
            under.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()


class _Entry(_End):
    """The client's connection, which waits until the server's is there."""

    def __init__(self, backend: tuple[str, int], ends: set[_End]) -> None:
        super().__init__(ends)
        self._backend = backend
        self._dialing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        # Not here: on Python 3.11.2 a transport begins to read after this call even if paused, and what comes is lost.
        loop.call_soon(self.transport.pause_reading)
        self._dialing = loop.create_task(self._dial())

    async def _dial(self) -> None:
        assert self.transport is not None
        end = _End(self._ends)
        end.other = self
        try:
            await asyncio.get_running_loop().create_connection(lambda: end, *self._backend)
        except OSError:
            self.transport.abort()  # the client sees what it would see without a gate: a refused or reset connection
            return
        if self.transport.is_closing():
            end.cut()
            return
        self.other = end
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._dialing is not None:
            self._dialing.cancel()
        super().connection_lost(exc)


async def open_gate(
    backend: tuple[str, int],
    *,
    at: str,
    used_ports: set[int],
    make_socket: Callable[[], socket.socket] = socket.socket,
) -> Gate:
    """Open a gate to `backend`, at the address `at` and a port that is not among `used_ports`, and add that to them.

    Raises ProvisionError if there is no port to be had.
    """
    gate = Gate(backend)
    refused: list[socket.socket] = []
    try:
        for _ in range(_ATTEMPTS):
            listener = make_socket()
            try:
                listener.bind((at, 0))
            except OSError:
                listener.close()
                raise
            port = listener.getsockname()[1]
            if port in used_ports:
                refused.append(listener)  # held, so that the system offers another one
                continue
            used_ports.add(port)
            await gate.listen(listener)
            return gate
    except OSError as error:
        if error.errno not in _EXHAUSTED:
            raise
        raise _no_port(at, str(error)) from error
    finally:
        for listener in refused:
            listener.close()
    raise _no_port(at, f"{_ATTEMPTS} ports that were offered had been used before")


def _no_port(ip: str, reason: str) -> ProvisionError:
    return ProvisionError(
        f"No TCP port for a lease's gate on {ip}: {reason}.\n"
        "Checked: a port of the system's choice (Linux: /proc/sys/net/ipv4/ip_local_port_range), and the number of "
        "open files (ulimit -n).\n"
        "Close what holds so many ports, widen the range, or run with fewer workers (-n) or a smaller --vcluster-pool."
    )

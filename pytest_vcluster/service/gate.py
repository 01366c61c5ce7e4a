"""A lease's own way to its API server: a TCP port that exists exactly as long as the lease.

The one rule: when a gate closes, every connection through it ends at once. A client left over from an ended lease gets
connection errors, never the next test's cluster.
"""

from __future__ import annotations

import asyncio
import socket

from pytest_vcluster.errors import ProvisionError


class Gate:
    """An open gate; `url` leads through it."""

    def __init__(self, server: asyncio.Server, ends: set[_End]) -> None:
        self._server = server
        self._ends = ends
        ip, port = server.sockets[0].getsockname()[:2]
        self.url = f"https://{ip}:{port}"

    def close(self) -> None:
        """Stop listening and cut every connection."""
        self._server.close()
        for end in list(self._ends):
            end.abort()


async def open_gate(backend: tuple[str, int]) -> Gate:
    """Open a gate to `backend` on the same address; ProvisionError if the machine has no port left."""
    ends: set[_End] = set()
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: _Front(backend, ends), backend[0], 0, backlog=512)
    except OSError as error:
        raise ProvisionError(
            f"No port for a lease on {backend[0]}: {error}.\n"
            "All ports of the range that the system gives out seem to be in use (Linux: ip_local_port_range). "
            "End what uses them, or run with fewer workers (-n)."
        ) from error
    return Gate(server, ends)


class _End(asyncio.Protocol):
    """One side of a spliced connection: what it receives, its peer sends."""

    def __init__(self, ends: set[_End]) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _End | None = None
        self._ends = ends

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._ends.add(self)
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            # A request that waits for the acknowledgement of an earlier one waits 40 ms.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        if self.peer is not None and self.peer.transport is not None and self.peer.transport.can_write_eof():
            self.peer.transport.write_eof()
        return True  # the other direction goes on

    def connection_lost(self, exc: Exception | None) -> None:
        self._ends.discard(self)
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()

    def abort(self) -> None:
        """End this side without a word."""
        if self.transport is not None:
            self.transport.abort()


class _Front(_End):
    """The client's side; connects to the API server as soon as a client came."""

    def __init__(self, backend: tuple[str, int], ends: set[_End]) -> None:
        super().__init__(ends)
        self._backend = backend
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()  # until there is somebody to read for
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        super().connection_lost(exc)

    async def _connect(self) -> None:
        assert self.transport is not None
        back = _End(self._ends)
        try:
            await asyncio.get_running_loop().create_connection(lambda: back, *self._backend)
        except OSError:
            self.transport.abort()
            return
        back.peer, self.peer = self, back
        if self.transport.is_closing():
            back.abort()
        else:
            self.transport.resume_reading()

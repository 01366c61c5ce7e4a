"""Bytes from one connection to another and back.

The one rule: nobody is left waiting. What one side doesn't take the other isn't asked for, so nothing piles up; and
when one side ends, what it sent is delivered and the other side is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

from vcluster_syncer.gateway.http import LONGEST

_CHUNK = 64 << 10
_GOODBYE = 2.0

T = TypeVar("T")


class Connection:
    """Both directions of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._leaving: asyncio.Task[None] | None = None

    def leaving(self) -> asyncio.Task[None]:
        """What is done as soon as the connection has ended. Not to be cancelled: there is one for all who wait."""
        if self._leaving is None:
            # Once: whoever gives up waiting for `wait_closed` cancels what all others wait for.
            self._leaving = asyncio.create_task(self._left())
        return self._leaving

    async def _left(self) -> None:
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def close(self) -> None:
        """Deliver what was written and close; a peer that takes nothing any more is not waited for."""
        self.writer.close()
        await asyncio.wait((self.leaving(),), timeout=_GOODBYE)
        self.abort()

    def abort(self) -> None:
        """Close at once."""
        self.writer.transport.abort()

    def keep_alive(self) -> None:
        """Have the system notice a peer that is gone without a word: streams may be silent for hours."""
        found = self.writer.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


async def dial(name: str, port: int, **tls: Any) -> Connection:
    """Connect; `tls` are arguments of `asyncio.open_connection`. OSError."""
    return Connection(*await asyncio.open_connection(name, port, limit=LONGEST, **tls))


async def tunnel(one: Connection, other: Connection) -> None:
    """Pass bytes both ways until either side ends."""
    directions = [
        asyncio.create_task(deliver(one.reader, other.writer)),
        asyncio.create_task(deliver(other.reader, one.writer)),
    ]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)


async def while_there(client: Connection, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which ends with the client's connection; ConnectionResetError then."""
    working = asyncio.create_task(work)
    try:
        await asyncio.wait((working, client.leaving()), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ConnectionResetError("it closed its connection while it was waited for")
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def deliver(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes one way until either side ends."""
    # A connection that breaks is one that ends.
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()

"""Bytes from one connection to another and back.

The one rule: nobody is left waiting. What one side doesn't take the other isn't asked for, so nothing piles up; and
when one side ends, what it sent is delivered and the other side is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from vcluster_syncer.gateway.http import LONGEST

_CHUNK = 64 << 10
_GOODBYE = 2.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Connection:
    """Both directions of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def close(self) -> None:
        """Deliver what was written and close; a peer that takes nothing any more is not waited for."""
        self.writer.close()
        try:
            async with asyncio.timeout(_GOODBYE):
                await self.writer.wait_closed()
        except (OSError, TimeoutError):
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
    leaving = asyncio.create_task(client.writer.wait_closed())
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ConnectionResetError("it closed its connection while it was waited for")
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def deliver(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes one way until either side ends."""
    # A connection that breaks is one that ends.
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()

"""One connection to a port of a pod, through the API server that knows the pod.

The one rule: it is a connection like any other. Its ends see what they would see without an API server in between.
"""

from __future__ import annotations

import asyncio

from pytest_vcluster.controlplane import streams
from pytest_vcluster.controlplane.http import Unreachable
from pytest_vcluster.errors import ApiError

PROTOCOLS = ("v4.channel.k8s.io",)
DATA, ERROR = range(2)
"""The channels of the one port that is asked for."""
_CHUNK = 32 << 10


async def carry(
    server: streams.Server, path: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Carry one local connection."""
    try:
        async with streams.opened(server, path, query=[("ports", str(port))], protocols=PROTOCOLS) as stream:
            directions = [asyncio.create_task(_in(reader, stream)), asyncio.create_task(_out(stream, writer))]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for direction in directions:
                    direction.cancel()
                await asyncio.gather(*directions, return_exceptions=True)
    except (ApiError, Unreachable, OSError):
        # The local end learns it as it would from a server that went away.
        pass
    finally:
        writer.close()


async def _in(reader: asyncio.StreamReader, stream: streams.Stream) -> None:
    while data := await reader.read(_CHUNK):
        await stream.send(DATA, data)


async def _out(stream: streams.Stream, writer: asyncio.StreamWriter) -> None:
    greeted: set[int] = set()
    while (message := await stream.receive()) is not None:
        channel, data = message
        # The first message of each channel repeats the port.
        if channel not in greeted:
            greeted.add(channel)
        elif channel == ERROR:
            return
        else:
            writer.write(data)
            await writer.drain()

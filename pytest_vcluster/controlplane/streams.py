"""Streams to and from a pod: a WebSocket to the API server, whose messages begin with the number of a channel.

Commands and ports need both directions at once, which a TLS socket of two threads does not allow, so this is asyncio,
in a thread of its own (`in_thread`), whatever loop the test may run. The one rule: what the server says when it refuses
is an `ApiError`, in its own words; whatever else goes wrong is `Unreachable` or the end of the stream.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

from pytest_vcluster.controlplane.http import Unreachable
from pytest_vcluster.errors import ApiError

_LARGEST = 32 << 10
_BUFFER = 1 << 20
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10

T = TypeVar("T")


class Server(Protocol):
    """An API server and how to be let in."""

    @property
    def url(self) -> str:
        """Where it is."""

    @property
    def tls(self) -> ssl.SSLContext | None:
        """How to speak TLS to it."""

    def headers(self) -> Mapping[str, str]:
        """What a request has to bring along."""


class Stream:
    """An open connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: str) -> None:
        self.protocol = protocol
        self._reader = reader
        self._writer = writer

    async def receive(self) -> tuple[int, bytes] | None:
        """The next message, as its channel and its data; None after the last."""
        message = b""
        try:
            while True:
                first, second = await self._reader.readexactly(2)
                length = second & 0x7F
                if length > 125:
                    length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
                payload = await self._reader.readexactly(length)
                kind = first & 0x0F
                if kind == _CLOSE:
                    return None
                if kind == _PING:
                    await self._send(_PONG, payload)
                elif kind in (_CONTINUATION, _TEXT, _BINARY):
                    message += payload
                    if first & 0x80 and message:
                        return message[0], message[1:]
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def send(self, channel: int, data: bytes) -> None:
        """Send `data`, in as many messages as it takes. OSError if nobody takes it."""
        for start in range(0, len(data), _LARGEST):
            await self._send(_BINARY, bytes([channel]) + data[start : start + _LARGEST])

    async def end(self, channel: int) -> None:
        """Tell that nothing more comes on a channel, where the protocol has a word for it."""
        if self.protocol == "v5.channel.k8s.io":
            await self._send(_BINARY, bytes([255, channel]))

    async def _send(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            head = bytes([0x80 | kind, 0x80 | size])
        else:
            head = bytes([0x80 | kind, 0x80 | 126]) + size.to_bytes(2, "big")
        mask = os.urandom(4)
        key = (mask * (size // 4 + 1))[:size]
        masked = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
        self._writer.write(head + mask + masked.to_bytes(size, "big"))
        await self._writer.drain()


@contextlib.asynccontextmanager
async def opened(
    server: Server, path: str, *, query: Sequence[tuple[str, str]], protocols: Sequence[str]
) -> AsyncIterator[Stream]:
    """A stream to `path`; it is cut at the end. Raises ApiError and Unreachable."""
    parts = urlsplit(server.url)
    try:
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=server.tls, limit=_BUFFER)
    except OSError as error:
        raise Unreachable(f"{server.url}: {error}") from error
    try:
        lines = (
            f"GET {parts.path.rstrip('/')}{path}?{urlencode(query)} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            f"Sec-WebSocket-Protocol: {', '.join(protocols)}",
            *(f"{name}: {value}" for name, value in server.headers().items()),
        )
        try:
            writer.write("\r\n".join((*lines, "", "")).encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status = int(head.split(" ")[1])
            if status != 101:
                raise await _refusal(status, head, reader, path=path)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as error:
            raise Unreachable(f"{server.url}: {error}") from error
        yield Stream(reader, writer, _header(head, "sec-websocket-protocol"))
    finally:
        writer.transport.abort()


def in_thread(work: Callable[[], Coroutine[Any, Any, T]], *, name: str) -> tuple[Future[T], Callable[[], None]]:
    """Have `work` done by a loop in another thread; returns its result to come, and what cancels it and waits."""
    result: Future[T] = Future()
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = Future()

    async def main() -> T:
        task = asyncio.create_task(work())
        begun.set_result((asyncio.get_running_loop(), task))
        return await task

    def run() -> None:
        try:
            result.set_result(asyncio.run(main()))
        except asyncio.CancelledError:
            result.cancel()
        except BaseException as error:
            result.set_exception(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()

    def cancel() -> None:
        loop, task = begun.result()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(task.cancel)
        thread.join()

    return result, cancel


async def _refusal(status: int, head: str, reader: asyncio.StreamReader, *, path: str) -> ApiError:
    length = _header(head, "content-length")
    # The API server tells the length of whatever is as short as its refusals.
    body = await (reader.readexactly(min(int(length), _BUFFER)) if length.isdecimal() else reader.read(_BUFFER))
    text = body.decode(errors="replace")
    message, reason = text[:500].strip(), ""
    with contextlib.suppress(ValueError, AttributeError):
        found = json.loads(text)
        message, reason = str(found.get("message") or message), str(found.get("reason") or "")
    return ApiError(message, status=status, reason=reason, method="GET", path=path)


def _header(head: str, name: str) -> str:
    for line in head.split("\r\n")[1:]:
        known, _, value = line.partition(":")
        if known.strip().lower() == name:
            return value.strip()
    return ""

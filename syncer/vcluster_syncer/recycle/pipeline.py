"""HTTP over a Unix socket with many requests under way on a few connections: the recycler writes one key a request.

On a connection that is busy anyway no request has to wake anybody up, neither etcd nor us; `columns` tells why there
is one for each key. The one rule: answers come in the order of the requests, so whatever breaks a connection ends
everything that was under way on it, with that one reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple

# More than this does not make it faster.
_CONNECTIONS = 4
_MOST_REQUESTS, _MOST_BYTES = 8, 1 << 20
"""How much may be under way on a connection, so that large objects don't pile up."""
_HEAD_END = b"\r\n\r\n"


class Answer(NamedTuple):
    """What was answered to one request."""

    status: int
    body: bytes


class Broken(Exception):
    """A connection ended before all was answered; the message tells how."""


class Refused(Exception):
    """A request was answered with anything but 200, so that no more were sent."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body[:200]!r}")
        self.answer = answer


class Pipeline:
    """Connections to the server at one Unix socket; made by `open`."""

    def __init__(self, socket: Path, *, timeout: float) -> None:
        self._socket = socket
        self._timeout = timeout
        self._idle: list[_Connection] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, socket: Path, *, timeout: float) -> AsyncIterator[Pipeline]:
        """No connection yet; whatever takes longer than `timeout` seconds to be answered is given up."""
        pipeline = cls(socket, timeout=timeout)
        try:
            yield pipeline
        finally:
            for connection in pipeline._idle:
                connection.close()

    async def send(self, path: str, bodies: Iterable[bytes]) -> list[bytes]:
        """POST each of `bodies` to `path`; returns the answers' bodies in the same order.

        They are carried out in any order. OSError or `Broken` for no answer, `Refused` for a bad one; then nobody knows
        what else was carried out.
        """
        batches = enumerate(_batches(bodies))
        answers: dict[int, list[bytes]] = {}

        async def work(first: tuple[int, list[bytes]]) -> None:
            connection = await self._connection()
            try:
                for number, batch in chain([first], batches):
                    async with asyncio.timeout(self._timeout):
                        found = await connection.exchange(path, batch)
                    answers[number] = _bodies(found)
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(_CONNECTIONS):
                    if (first := next(batches, None)) is None:
                        break
                    workers.create_task(work(first))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [answer for number in sorted(answers) for answer in answers[number]]

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        async with asyncio.timeout(self._timeout):
            loop = asyncio.get_running_loop()
            return (await loop.create_unix_connection(_Connection, str(self._socket)))[1]


def _bodies(answers: Iterable[Answer]) -> list[bytes]:
    bodies = []
    for answer in answers:
        if answer.status != 200:
            raise Refused(answer)
        bodies.append(answer.body)
    return bodies


def _batches(bodies: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for body in bodies:
        if batch and (len(batch) == _MOST_REQUESTS or size + len(body) > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += len(body)
    if batch:
        yield batch


class _Connection(asyncio.Protocol):
    """One connection, used by one task at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._parser: Iterator[Answer | None] = iter(())
        self._answers: list[Answer] = []
        self._wanted = 0
        self._done: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and not self._received

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, path: str, bodies: list[bytes]) -> list[Answer]:
        """Send all, and wait for as many answers."""
        if self._transport is None or self._transport.is_closing():
            raise Broken("the connection was closed")
        self._answers, self._wanted = [], len(bodies)
        self._parser = _answers(self._received)
        self._done = asyncio.get_running_loop().create_future()
        head = f"POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\nContent-Length: "
        self._transport.write(b"".join(b"%b%d\r\n\r\n%b" % (head.encode(), len(body), body) for body in bodies))
        await self._done
        return self._answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._done is None or self._done.done():
            # Nobody asked.
            self.close()
            return
        try:
            while len(self._answers) < self._wanted and (answer := next(self._parser)) is not None:
                self._answers.append(answer)
        except ValueError as error:
            self._done.set_exception(Broken(f"the answer is no HTTP: {error}"))
            self.close()
        else:
            if len(self._answers) == self._wanted:
                self._done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            told = f"{len(self._answers)} of {self._wanted} requests were answered"
            self._done.set_exception(Broken(f"the connection ended{f' ({exc})' if exc else ''} when {told}"))


def _answers(received: bytearray) -> Iterator[Answer | None]:
    """Take answers from the front of `received`, which grows; None where more is needed. ValueError for no HTTP."""
    while True:
        while (end := received.find(_HEAD_END)) < 0:
            yield None
        status, headers = _head(bytes(received[:end]))
        del received[: end + len(_HEAD_END)]
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            body = bytearray()
            while True:
                while (end := received.find(b"\r\n")) < 0:
                    yield None
                size = int(received[:end].partition(b";")[0], 16)
                while len(received) < end + size + 4:
                    yield None
                body += received[end + 2 : end + 2 + size]
                del received[: end + size + 4]
                if not size:
                    break
        else:
            size = int(headers.get(b"content-length", b"0"))
            while len(received) < size:
                yield None
            body = received[:size]
            del received[:size]
        yield Answer(status, bytes(body))


def _head(head: bytes) -> tuple[int, dict[bytes, bytes]]:
    line, *fields = head.split(b"\r\n")
    protocol, _, rest = line.partition(b" ")
    if protocol != b"HTTP/1.1":
        raise ValueError(f"it begins with {bytes(line[:80])!r}")
    pairs = (field.partition(b":") for field in fields)
    return int(rest[:3]), {name.lower(): value.strip() for name, _, value in pairs}

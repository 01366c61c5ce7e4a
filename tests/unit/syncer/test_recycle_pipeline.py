"""Many requests on few connections: every answer finds its request, however it arrives, and trouble ends all."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vcluster_syncer.recycle.pipeline import Broken, Pipeline, Refused


def plain(body, status=b"200 OK"):
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def chunked(body):
    half = len(body) // 2
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % parts


class Server:
    """Answers each request with what `answer` makes of its body, in pieces of `piece` bytes."""

    def __init__(self, answer, *, piece=1 << 16):
        self.answer = answer
        self.piece = piece
        self.connections = 0
        self._handlers = []

    @contextlib.asynccontextmanager
    async def open(self, *, timeout=5.0):
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # Unix sockets have short paths
            path = Path(directory) / "s"
            server = await asyncio.start_unix_server(self._serve, path)
            try:
                async with Pipeline.open(path, timeout=timeout) as pipeline:
                    yield pipeline
            finally:
                server.close()
                await asyncio.gather(*self._handlers)

    async def _serve(self, reader, writer):
        self.connections += 1
        self._handlers.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                answer = self.answer(await reader.readexactly(size))
                if answer is None:
                    break
                for start in range(0, len(answer), self.piece):
                    writer.write(answer[start : start + self.piece])
                    await writer.drain()
                    await asyncio.sleep(0)


def sent(server, bodies, **options):
    async def main():
        async with server.open(**options) as pipeline:
            return await pipeline.send("/v3/kv/txn", bodies)

    return asyncio.run(main())


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=40), max_size=70), st.sampled_from([plain, chunked]), st.integers(1, 50))
def test_answers_come_in_the_order_of_their_requests_however_they_are_cut(bodies, form, piece):
    assert sent(Server(lambda body: form(b"to " + body), piece=piece), bodies) == [b"to " + body for body in bodies]


def test_connections_are_few_and_used_again():
    server = Server(plain)

    async def main():
        async with server.open() as pipeline:
            for _ in range(3):
                await pipeline.send("/", [b"%d" % number for number in range(200)])
            await pipeline.send("/", [b"one"])

    asyncio.run(main())
    assert server.connections == 4


def test_one_request_takes_one_connection():
    server = Server(plain)
    assert sent(server, [b"x"]) == [b"x"]
    assert server.connections == 1


def test_large_bodies_are_sent_a_few_at_a_time():
    server = Server(lambda body: plain(b"%d" % len(body)))
    bodies = [b"x" * (900 << 10)] * 12
    assert sent(server, bodies) == [b"%d" % (900 << 10)] * 12


def test_after_a_bad_answer_no_more_is_sent():
    heard = []

    def refuse(body):
        heard.append(body)
        return plain(b"full", status=b"429 Too Many Requests")

    with pytest.raises(Refused, match="429 b'full'") as caught:
        sent(Server(refuse), [b"%d" % number for number in range(1000)])
    assert caught.value.answer.status == 429
    assert len(heard) <= 32


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "the connection ended when 0 of 1 requests were answered"),
        (b"SSH-2.0-x\r\n\r\n", "the answer is no HTTP: it begins with b'SSH-2.0-x'"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "the answer is no HTTP"),
    ],
)
def test_what_is_no_answer_is_told(answer, message):
    with pytest.raises(Broken, match=message):
        sent(Server(lambda _: answer), [b"x"])


def test_silence_is_given_up_and_the_connection_with_it():
    server = Server(lambda body: plain(body) if body == b"loud" else b"HTTP/1.1 200 OK\r\n")

    async def main():
        async with server.open(timeout=0.05) as pipeline:
            with pytest.raises(TimeoutError):
                await pipeline.send("/", [b"silent"])
            assert await pipeline.send("/", [b"loud"]) == [b"loud"]

    asyncio.run(main())
    assert server.connections == 2


def test_more_than_was_asked_for_is_not_taken_for_the_next_answer():
    server = Server(lambda body: plain(body) * 2)

    async def main():
        async with server.open() as pipeline:
            assert await pipeline.send("/", [b"a"]) == [b"a"]
            assert await pipeline.send("/", [b"b"]) == [b"b"]

    asyncio.run(main())


def test_nobody_there_is_an_error_of_the_system():
    async def main():
        async with Pipeline.open(Path("/tmp/nobody-listens.sock"), timeout=1.0) as pipeline:
            await pipeline.send("/", [b"x"])

    with pytest.raises(FileNotFoundError):
        asyncio.run(main())

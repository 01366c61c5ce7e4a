"""A gateway's endpoint between a client and a fake host: who gets in, what passes, and what ends when."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from vcluster_syncer.config import EndpointConfig, GuardedKubelet
from vcluster_syncer.gateway import guarded
from vcluster_syncer.gateway.endpoint import Endpoint, Onward
from vcluster_syncer.gateway.http import Request, parse_request, render_request
from vcluster_syncer.gateway.routes import Refused
from vcluster_syncer.gateway.tunnel import Connection, dial

from pytest_vcluster.controlplane.pki import CertificateAuthority

SECONDS = 20.0
UPGRADE = (("connection", "Upgrade"), ("upgrade", "SPDY/3.1"))
Serve = Callable[[Request, Connection], Awaitable[None]]


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 2 * SECONDS))


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority of the API server's, one of users, and certificates of both."""
    directory = tmp_path_factory.mktemp("pki")
    ours, users = CertificateAuthority.new("kubelets"), CertificateAuthority.new("users")
    pairs = {
        "ca": ours.pair,
        "server": ours.server("kubelet", hosts=["127.0.0.1"]),
        "client": ours.client("kube-apiserver-kubelet-client"),
        "user": users.client("kube-apiserver-kubelet-client", ["system:masters"]),
    }
    for name, pair in pairs.items():
        (directory / f"{name}.pem").write_text(pair.certificate + pair.key)
    return directory


def listen(pki: Path) -> EndpointConfig:
    server = pki / "server.pem"
    return EndpointConfig(address="127.0.0.1", port=0, certificate=server, key=server, client_authority=pki / "ca.pem")


class Host:
    """A host that answers as it is told and notes what it was asked."""

    def __init__(self, serve: Serve) -> None:
        self.asked: list[Request] = []
        self.left = asyncio.Event()
        self.port = 0
        self._serve = serve

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, serve: Serve) -> AsyncIterator[Host]:
        host = cls(serve)
        server = await asyncio.start_server(host._accept, "127.0.0.1", 0)
        async with server:
            host.port = server.sockets[0].getsockname()[1]
            yield host
            server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        request = parse_request(await reader.readuntil(b"\r\n\r\n"))
        self.asked.append(request)
        with contextlib.suppress(OSError):
            await self._serve(request, connection)
            await writer.drain()
            writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self.left.set()


@contextlib.asynccontextmanager
async def gateway(pki: Path, serve: Serve, *, patient: bool = False) -> AsyncIterator[tuple[Endpoint, Host]]:
    async with Host.opened(serve) as host:

        def route(request: Request) -> Onward:
            if request.path[0] == "forbidden":
                raise Refused(403, "not yours")
            head = render_request(request.method, "/there", request.headers)
            return Onward(
                dial=lambda: dial("127.0.0.1", host.port),
                head=head,
                scrub=lambda said: said.replace("web-x-host", "web"),
                patient=patient,
            )

        async with Endpoint.opened(listen(pki), route) as endpoint:
            yield endpoint, host


@contextlib.asynccontextmanager
async def connected(pki: Path, endpoint: Endpoint, *, certificate: str = "client") -> AsyncIterator[Connection]:
    tls = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    if certificate:
        tls.load_cert_chain(pki / f"{certificate}.pem")
    client = await dial("127.0.0.1", endpoint.port, ssl=tls)
    try:
        yield client
    finally:
        client.abort()


async def ask(client: Connection, target: str = "/x", *headers: tuple[str, str], method: str = "GET") -> bytes:
    """Ask and read the answer to its end."""
    client.writer.write(render_request(method, target, headers))
    return await client.reader.read()


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


async def says_hello(_request: Request, there: Connection) -> None:
    there.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


async def echoes(_request: Request, there: Connection) -> None:
    there.writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
    while data := await there.reader.read(65536):
        there.writer.write(data)
        await there.writer.drain()


def test_an_answer_passes_as_it_is_but_for_the_connection(pki: Path) -> None:
    async def test() -> None:
        async with gateway(pki, says_hello) as (endpoint, host), connected(pki, endpoint) as client:
            head, _, body = (await ask(client)).partition(b"\r\n\r\n")
            assert body == b"5\r\nhello\r\n0\r\n\r\n"
            assert head.split(b"\r\n") == [b"HTTP/1.1 200 OK", b"transfer-encoding: chunked", b"connection: close"]
            assert [asked.path for asked in host.asked] == [("there",)]

    run(test())


@pytest.mark.parametrize("certificate", ["", "user", "server"])
def test_nobody_else_gets_in(pki: Path, certificate: str) -> None:
    """No client without a certificate, no user whatever he is called, and not even the gateway itself."""

    async def test() -> None:
        async with gateway(pki, says_hello) as (endpoint, host):
            with pytest.raises(OSError, match=r"(?i)alert|reset|closed"):
                async with connected(pki, endpoint, certificate=certificate) as client:
                    # In TLS 1.3 a client is told of its refusal when it reads.
                    assert await ask(client) == b""
                    raise ConnectionResetError("closed without a word")
            assert host.asked == []

    run(test())


def test_an_upgraded_connection_is_a_tunnel(pki: Path) -> None:
    async def test() -> None:
        async with gateway(pki, echoes) as (endpoint, _), connected(pki, endpoint) as client:
            client.writer.write(render_request("POST", "/x", UPGRADE))
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
            for data in (b"\x80\x03\x00\x01", bytes(range(256)), b"x" * 3_000_000):
                client.writer.write(data)
                assert await client.reader.readexactly(len(data)) == data

    run(test())


def test_what_a_client_sends_after_a_plain_request_goes_nowhere(pki: Path) -> None:
    async def waits(_request: Request, there: Connection) -> None:
        there.writer.write(b"HTTP/1.1 200 OK\r\n\r\nbegun")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(there.reader.read(1), 0.5)

    async def test() -> None:
        async with gateway(pki, waits) as (endpoint, host), connected(pki, endpoint) as client:
            second = render_request("GET", "/api/v1/secrets", [])
            client.writer.write(render_request("GET", "/x", []) + second)
            assert (await client.reader.read()).endswith(b"begun")
            assert len(host.asked) == 1

    run(test())


def test_a_client_that_goes_away_ends_the_request_to_the_host(pki: Path) -> None:
    async def follows(_request: Request, there: Connection) -> None:
        there.writer.write(b"HTTP/1.1 200 OK\r\n\r\nline\n")
        await there.reader.read()

    async def test() -> None:
        async with gateway(pki, follows) as (endpoint, host):
            async with connected(pki, endpoint) as client:
                client.writer.write(render_request("GET", "/x", []))
                await client.reader.readuntil(b"line\n")
            await asyncio.wait_for(host.left.wait(), SECONDS)
            await eventually(lambda: endpoint.connections == 0)

    run(test())


def test_a_client_that_does_not_wait_for_the_first_line_ends_it_as_well(pki: Path) -> None:
    async def silent(_request: Request, there: Connection) -> None:
        await there.reader.read()

    async def test() -> None:
        async with gateway(pki, silent, patient=True) as (endpoint, host):
            async with connected(pki, endpoint) as client:
                client.writer.write(render_request("GET", "/x", []))
                await eventually(lambda: len(host.asked) == 1)
            await asyncio.wait_for(host.left.wait(), SECONDS)

    run(test())


def test_a_client_that_reads_nothing_is_sent_no_more_than_fits(pki: Path) -> None:
    sent = [0]

    async def pours(_request: Request, there: Connection) -> None:
        there.writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(4096):
            there.writer.write(b"x" * 65536)
            await there.writer.drain()
            sent[0] += 65536

    async def test() -> None:
        async with gateway(pki, pours) as (endpoint, host), connected(pki, endpoint) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.writer.write(render_request("GET", "/x", []))
            await eventually(lambda: sent[0] > 0)
            before = -1
            while before != sent[0]:
                before = sent[0]
                await asyncio.sleep(0.5)
            assert not host.left.is_set(), sent
            assert sent[0] < 4096 * 65536 / 4

    run(test())


def test_refusals_are_told_in_the_virtual_clusters_words(pki: Path) -> None:
    status = b'{"kind":"Status","message":"pods \\"web-x-host\\" not found","code":404}'

    async def refuses(request: Request, there: Connection) -> None:
        if request.upgrades:
            chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(status), status)
            there.writer.write(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        else:
            there.writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(status) + status)
        # As a host does that keeps its connections.
        await there.reader.read()

    async def test() -> None:
        async with gateway(pki, refuses) as (endpoint, _):
            for headers in ((), UPGRADE):
                async with connected(pki, endpoint) as client:
                    answer = await ask(client, "/x", *headers)
                    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
                    assert answer.endswith(b'\r\n\r\npods "web" not found')

    run(test())


def test_a_host_that_does_not_upgrade_gets_no_tunnel(pki: Path) -> None:
    async def test() -> None:
        async with gateway(pki, says_hello) as (endpoint, _), connected(pki, endpoint) as client:
            assert (await ask(client, "/x", *UPGRADE)).startswith(b"HTTP/1.1 502 Bad Gateway\r\n")

    run(test())


def test_nonsense_and_silence_of_the_host_are_told(pki: Path) -> None:
    async def talks_nonsense(_request: Request, there: Connection) -> None:
        there.writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")

    async def ends(_request: Request, _there: Connection) -> None:
        return

    async def test() -> None:
        for serve in (talks_nonsense, ends):
            async with gateway(pki, serve) as (endpoint, _), connected(pki, endpoint) as client:
                answer = await ask(client)
                assert answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
                assert b"the host's API server did not answer as expected" in answer

    run(test())


def test_a_host_that_is_away_is_told(pki: Path) -> None:
    async def test() -> None:
        async with gateway(pki, says_hello) as (endpoint, host), connected(pki, endpoint) as client:
            host.port = 1
            assert b"the host's API server can't be reached" in await ask(client)

    run(test())


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nno field\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\na: b\r\n c: folded\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\na: b\nc: d\r\n\r\n", 400),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /forbidden HTTP/1.1\r\n\r\n", 403),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 200),
    ],
)
def test_what_goes_no_further(pki: Path, raw: bytes, status: int) -> None:
    async def test() -> None:
        async with gateway(pki, says_hello) as (endpoint, host), connected(pki, endpoint) as client:
            client.writer.write(raw)
            assert (await client.reader.read()).startswith(b"HTTP/1.1 %d " % status)
            assert host.asked == []

    run(test())


def test_while_it_is_shut_nobody_is_connected_or_gets_in(pki: Path) -> None:
    async def test() -> None:
        async with gateway(pki, echoes) as (endpoint, host):
            async with connected(pki, endpoint) as old:
                old.writer.write(render_request("POST", "/x", UPGRADE))
                await old.reader.readuntil(b"\r\n\r\n")
                async with endpoint.shut():
                    assert endpoint.connections == 0
                    with contextlib.suppress(OSError):
                        assert await old.reader.read() == b""
                    await asyncio.wait_for(host.left.wait(), SECONDS)
                    async with connected(pki, endpoint) as early:
                        assert b"503 Service Unavailable" in await ask(early, "/x", *UPGRADE)
            async with connected(pki, endpoint) as new:
                new.writer.write(render_request("POST", "/x", UPGRADE))
                assert (await new.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")

    run(test())


KUBELET = GuardedKubelet(
    endpoint=EndpointConfig(address="a", port=1, certificate=Path("c"), key=Path("k"), client_authority=Path("a")),
    address="127.0.0.1",
    port=10247,
    namespace="secret",
)


def test_a_guarded_kubelet_knows_one_namespace_only() -> None:
    request = parse_request(render_request("POST", "/exec/vc-ns/web/main?command=a&command=b%26c", UPGRADE))
    onward = guarded.onward(KUBELET, request)
    made = parse_request(onward.head)
    assert made.path == ("exec", "secret", "web", "main")
    assert made.query == request.query
    assert made.upgrades
    assert onward.scrub("pod secret/web") == "pod vc-ns/web"


@pytest.mark.parametrize("target", ["/", "/pods", "/exec", "/exec/ns", "/metrics/nodes/a", "/debug/pprof/heap"])
def test_nothing_else_of_it_is_reached(target: str) -> None:
    with pytest.raises(Refused, match="no such endpoint"):
        guarded.onward(KUBELET, parse_request(render_request("GET", target, ())))

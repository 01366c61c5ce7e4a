"""Endpoints at which virtual API servers are told figures: who gets in, what the host is asked, what is answered."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from syncer_worlds import Worlds, host_pod, pod
from vcluster_syncer.config import EndpointConfig, MetricsConfig
from vcluster_syncer.engine.tenants import NoSuchTenant
from vcluster_syncer.gateway.gateways import EndpointExists, NotListening
from vcluster_syncer.gateway.meters import Meters
from vcluster_syncer.kube.errors import Forbidden, KubeError, NotFound, ServerFailed, Unreachable
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import NODE_METRICS, POD_METRICS

from pytest_vcluster.controlplane.pki import CertificateAuthority

ROOT = "/apis/metrics.k8s.io/v1beta1"
POD = f"{ROOT}/namespaces/default/pods/web"
SECONDS = 20.0


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 2 * SECONDS))


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gateway's authority, that of front proxies, and certificates of both and of kubelets' clients."""
    directory = tmp_path_factory.mktemp("pki")
    ours, proxies = CertificateAuthority.new("gateways"), CertificateAuthority.new("front-proxies")
    pairs = {
        "ca": ours.pair,
        "server": ours.server("gateway", hosts=["127.0.0.1"]),
        "kubelet-client": ours.client("kube-apiserver-kubelet-client"),
        "proxy-ca": proxies.pair,
        "proxy": proxies.client("front-proxy-client"),
    }
    for name, pair in pairs.items():
        (directory / f"{name}.pem").write_text(pair.certificate + pair.key)
    return directory


def config(pki: Path, **changes: Any) -> MetricsConfig:
    server = pki / "server.pem"
    endpoint = EndpointConfig(
        address="127.0.0.1", port=0, certificate=server, key=server, client_authority=pki / "proxy-ca.pem"
    )
    return replace(
        MetricsConfig(endpoint=endpoint, authority=pki / "ca.pem", told=(POD_METRICS, NODE_METRICS)), **changes
    )


class Tenants:
    """One tenant, with a pod `web` on a node."""

    def __init__(self) -> None:
        self.worlds = Worlds()
        self.node = self.worlds.node()
        pod(self.worlds, metadata={"labels": {"app": "web"}})
        self.host_pod = host_pod(self.worlds)

    def world(self, name: str) -> Worlds:
        if name != "vc-a1":
            raise NoSuchTenant(f"no tenant {name!r}")
        return self.worlds


class Host:
    """A host that answers each request with what it is told to."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def send(self, request: Request) -> Any:
        assert request.method == "GET"
        self.asked.append(request.path.partition("?")[0])
        answer = self.answers.pop(0)
        if isinstance(answer, KubeError):
            raise answer
        return answer


class Client:
    """An API server that passes requests on."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._base = f"https://127.0.0.1:{port}"

    async def ask(self, path: str, method: str = "GET") -> tuple[int, Any]:
        async with self._session.request(method, self._base + path) as response:
            assert response.content_type == "application/json"
            return response.status, await response.json()


@contextlib.asynccontextmanager
async def connected(pki: Path, port: int, *, certificate: str = "proxy") -> AsyncIterator[Client]:
    tls = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    if certificate:
        tls.load_cert_chain(pki / f"{certificate}.pem")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        yield Client(session, port)


@contextlib.asynccontextmanager
async def meter(pki: Path, host: Host, tenants: Tenants, name: str = "vc-a1") -> AsyncIterator[Client]:
    of: Any = tenants
    there: Any = host
    async with Meters.open(of, there, timeout=SECONDS) as meters:
        port = await meters.add(name, config(pki))
        async with connected(pki, port) as client:
            yield client


def measured(tenants: Tenants) -> dict[str, Any]:
    own = tenants.host_pod["metadata"]
    return {"metadata": own, "containers": [{"name": "main", "usage": {"cpu": "1"}}]}


def test_a_pod_is_asked_for_by_its_host_name_and_told_by_its_own(pki: Path) -> None:
    async def test() -> None:
        tenants = Tenants()
        host = Host(measured(tenants))
        async with meter(pki, host, tenants) as client:
            status, told = await client.ask(POD)
        assert (status, told["metadata"]["name"], told["metadata"]["labels"]) == (200, "web", {"app": "web"})
        own = tenants.host_pod["metadata"]
        assert host.asked == [f"{ROOT}/namespaces/{own['namespace']}/pods/{own['name']}"]

    run(test())


def test_lists_are_of_what_is_selected(pki: Path) -> None:
    async def test() -> None:
        tenants = Tenants()
        items = {"items": [measured(tenants), {"metadata": {"name": "stranger", "namespace": "vc-a1-ns"}}]}
        async with meter(pki, Host(items, items, items), tenants) as client:
            for path, names in [
                (f"{ROOT}/pods?labelSelector=app%3Dweb", ["web"]),
                (f"{ROOT}/pods?labelSelector=app%21%3Dweb", []),
                (f"{ROOT}/namespaces/kube-system/pods", []),
            ]:
                status, told = await client.ask(path)
                assert (status, [item["metadata"]["name"] for item in told["items"]]) == (200, names)

    run(test())


def test_nodes_are_asked_for_by_their_host_names(pki: Path) -> None:
    async def test() -> None:
        tenants = Tenants()
        host = Host({"metadata": {"name": tenants.node}, "usage": {"cpu": "2"}})
        async with meter(pki, host, tenants) as client:
            status, told = await client.ask(f"{ROOT}/nodes/node-1")
        assert (status, told["metadata"]["name"]) == (200, "node-1")
        assert host.asked == [f"{ROOT}/nodes/{tenants.node}"]

    run(test())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{ROOT}/namespaces/default/pods/other", 404),
        (f"{ROOT}/namespaces/kube-system/pods/web", 404),
        (f"{ROOT}/nodes/vc-a1-node-1", 404),
        (f"{ROOT}/services", 404),
        (f"{ROOT}/pods?watch=1", 405),
        ("/containerLogs/default/web/main", 404),
        ("/exec/default/web/main?command=id", 404),
    ],
)
def test_the_host_hears_nothing_of_what_is_refused(pki: Path, path: str, status: int) -> None:
    async def test() -> None:
        host = Host()
        async with meter(pki, host, Tenants()) as client:
            found, told = await client.ask(path)
            assert (found, told["kind"], told["code"]) == (status, "Status", status)
        assert host.asked == []

    run(test())


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            NotFound("pods vc-a1-web not found", status=404, reason="NotFound"),
            404,
            'pods.metrics.k8s.io "web" not found',
        ),
        (NotFound("HTTP 404: 404 page not found", status=404), 503, "the host does not serve metrics.k8s.io"),
        (Forbidden("no, vc-a1-web", status=403), 503, "the syncer may not read metrics.k8s.io on the host"),
        (Unreachable("no answer in time"), 503, "the host's API server does not answer"),
        (ServerFailed("vc-a1-web", status=503), 503, "the host's metrics.k8s.io is not available"),
    ],
)
def test_what_the_host_says_of_a_refusal_stays_here(pki: Path, error: KubeError, status: int, message: str) -> None:
    async def test() -> None:
        async with meter(pki, Host(error), Tenants()) as client:
            found, told = await client.ask(POD)
        assert (found, told["message"]) == (status, message)

    run(test())


def test_the_api_is_found_whatever_becomes_of_tenant_and_host(pki: Path) -> None:
    async def test() -> None:
        async with meter(pki, Host(), Tenants(), name="vc-b2") as client:
            assert (await client.ask(ROOT))[0] == 200
            status, told = await client.ask(f"{ROOT}/pods")
            assert (status, told["message"]) == (503, "the cluster is not carried on the host")
            assert (await client.ask(ROOT, "POST"))[0] == 404

    run(test())


@pytest.mark.parametrize("certificate", ["", "kubelet-client", "server"])
def test_nobody_else_gets_in(pki: Path, certificate: str) -> None:
    """Not even who may ask the kubelet."""

    async def test() -> None:
        tenants: Any = Tenants()
        host: Any = Host()
        async with Meters.open(tenants, host, timeout=SECONDS) as meters:
            port = await meters.add("vc-a1", config(pki))
            with pytest.raises(aiohttp.ClientError):
                async with connected(pki, port, certificate=certificate) as client:
                    await client.ask(ROOT)

    run(test())


def test_a_tenant_has_one_endpoint_and_none_when_it_is_removed(pki: Path) -> None:
    async def test() -> None:
        tenants: Any = Tenants()
        host: Any = Host()
        async with Meters.open(tenants, host, timeout=SECONDS) as meters:
            port = await meters.add("vc-a1", config(pki))
            with pytest.raises(EndpointExists):
                await meters.add("vc-a1", config(pki))
            await meters.remove("vc-a1")
            await meters.remove("vc-a1")
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            assert await meters.add("vc-a1", config(pki))

    run(test())


async def answered(pki: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask something over TLS that is spoken by hand, so that nobody answers a goodbye."""
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    context.load_cert_chain(pki / "proxy.pem")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    request = f"GET {ROOT} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    for step in (tls.do_handshake, lambda: tls.write(request), lambda: tls.read(1 << 16)):
        while True:
            try:
                step()
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(1 << 16))
            else:
                writer.write(outgoing.read())
                break


def test_whoever_answers_no_goodbye_is_not_waited_for(pki: Path) -> None:
    async def test() -> None:
        tenants: Any = Tenants()
        host: Any = Host()
        async with Meters.open(tenants, host, timeout=SECONDS) as meters:
            reader, writer = await asyncio.open_connection("127.0.0.1", await meters.add("vc-a1", config(pki)))
            with contextlib.closing(writer):
                await answered(pki, reader, writer)
                await meters.remove("vc-a1")
                with contextlib.suppress(ConnectionResetError):
                    await asyncio.wait_for(reader.read(), 5)

    run(test())


def test_one_that_can_not_be_had_tells_why(pki: Path) -> None:
    async def test() -> None:
        tenants: Any = Tenants()
        host: Any = Host()
        async with Meters.open(tenants, host, timeout=SECONDS) as meters:
            missing = config(pki)
            missing = replace(missing, endpoint=replace(missing.endpoint, client_authority=pki / "none.pem"))
            with pytest.raises(NotListening, match=r"tenant.metrics: nothing can listen at 127.0.0.1:0 .*none.pem"):
                await meters.add("vc-a1", missing)
            await meters.add("vc-a1", config(pki, authority=pki / "nobody.pem"))
            server: Any = None
            with pytest.raises(NotListening, match=r"authority .*nobody.pem: No such file"):
                await meters.announce("vc-a1", server)

    run(test())

"""The gateways of a process: what a tenant's API server asks of its kubelet reaches the host under the host's names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from syncer_worlds import Worlds, host_pod
from syncer_worlds import pod as put_pod
from test_gateway_endpoint import UPGRADE, Connection, Host, ask, connected, listen, pki, run
from test_syncer_config import CONFIG, tenant
from vcluster_syncer.config import EndpointConfig, GuardedKubelet, parse_config
from vcluster_syncer.engine.tenants import NoSuchTenant
from vcluster_syncer.fields import ConfigError
from vcluster_syncer.gateway.gateways import EndpointExists, Gateways, NotListening
from vcluster_syncer.gateway.http import Request
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.kube.token_file import TokenFile

__all__ = ["pki"]

FILES = {"certificate": "/c", "key": "/k", "client_authority": "/a"}
ENDPOINT = {"address": "127.64.0.1", "port": 10250, **FILES}
PARSED = EndpointConfig(
    address="127.64.0.1", port=10250, certificate=Path("/c"), key=Path("/k"), client_authority=Path("/a")
)


class Tenants:
    """One tenant, with a pod `web`."""

    def __init__(self) -> None:
        self.worlds = Worlds()
        put_pod(self.worlds)
        self.host_pod = host_pod(self.worlds)

    def world(self, name: str) -> Worlds:
        if name != "vc-a1":
            raise NoSuchTenant(f"no tenant {name!r}")
        return self.worlds


async def refuses(request: Request, there: Connection) -> None:
    """Refuse everything, naming what was asked for by the host's names."""
    body = json.dumps({"kind": "Status", "message": f'container of pod "{request.path[6]}" is not running'}).encode()
    there.writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def test_it_asks_with_the_token_of_today(pki: Path, tmp_path: Path) -> None:
    shown = []

    async def notes(request: Request, there: Connection) -> None:
        shown.append(request.headers.first("authorization"))
        await refuses(request, there)

    async def test() -> None:
        clock = [0.0]
        (tmp_path / "token").write_text("first")
        token_file = TokenFile(tmp_path / "token", clock=lambda: clock[0])
        tenants: Any = Tenants()
        async with Host.opened(notes) as host:
            server = Server(url=f"http://127.0.0.1:{host.port}", token_file=token_file)
            async with Gateways.open(tenants, server) as gateways:
                await gateways.add("vc-a1", listen(pki))
                for token in ("second", "third"):
                    async with connected(pki, gateways._kept["vc-a1"].endpoint) as client:
                        await ask(client, "/containerLogs/default/web/main")
                    (tmp_path / "token").write_text(token)
                    clock[0] += 60

    run(test())
    assert shown == ["Bearer first", "Bearer second"]


def test_names_are_the_hosts_on_the_way_there_and_the_virtual_ones_on_the_way_back(pki: Path) -> None:
    async def test() -> None:
        tenants: Any = Tenants()
        host_name = tenants.host_pod["metadata"]["name"]
        async with Host.opened(refuses) as host:
            server = Server(url=f"http://127.0.0.1:{host.port}/below", token="the-hosts")
            async with Gateways.open(tenants, server) as gateways:
                await gateways.add("vc-a1", listen(pki))
                async with connected(pki, gateways._kept["vc-a1"].endpoint) as client:
                    answer = await ask(client, "/exec/default/web/main?command=id", *UPGRADE, method="POST")
        (asked,) = host.asked
        assert host_name != "web"
        assert asked.path == ("below", "api", "v1", "namespaces", "vc-a1-ns", "pods", host_name, "exec")
        assert asked.headers.all("authorization") == ["Bearer the-hosts"]
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.endswith(b'container of pod "web" is not running')

    run(test())


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/containerLogs/default/other/main", 404),
        ("/containerLogs/kube-system/web/main", 404),
        ("/containerLogs/default/web/sidecar", 404),
        ("/pods", 404),
    ],
)
def test_the_host_hears_nothing_of_what_is_refused(pki: Path, target: str, status: int) -> None:
    async def test() -> None:
        tenants: Any = Tenants()
        async with Host.opened(refuses) as host:
            async with Gateways.open(tenants, Server(url=f"http://127.0.0.1:{host.port}")) as gateways:
                await gateways.add("vc-a1", listen(pki))
                async with connected(pki, gateways._kept["vc-a1"].endpoint) as client:
                    assert (await ask(client, target)).startswith(b"HTTP/1.1 %d " % status)
            assert host.asked == []

    run(test())


def test_an_endpoint_goes_with_its_tenant(pki: Path) -> None:
    async def test() -> None:
        tenants: Any = Tenants()
        async with Gateways.open(tenants, Server(url="https://127.0.0.1:1")) as gateways:
            port = await gateways.add("vc-b2", listen(pki))
            endpoint = gateways._kept["vc-b2"].endpoint
            assert port == endpoint.port
            async with connected(pki, endpoint) as client:
                assert b"503 Service Unavailable" in await ask(client, "/containerLogs/default/web/main")
            with pytest.raises(EndpointExists, match="'vc-b2' has a gateway already"):
                await gateways.add("vc-b2", listen(pki))
            with pytest.raises(NotListening, match=f"nothing can listen at 127.0.0.1:{port}"):
                await gateways.add("vc-c3", replace(listen(pki), port=port))
            with pytest.raises(NotListening, match="/nowhere.pem"):
                await gateways.add("vc-c3", replace(listen(pki), certificate=Path("/nowhere.pem")))
            await gateways.remove("vc-b2")
            await gateways.remove("vc-b2")
            assert gateways.connections("vc-b2") == 0
            with pytest.raises(OSError, match=r"(?i)connect"):
                async with connected(pki, endpoint):
                    pass
            async with gateways.shut("vc-b2"):
                pass

    run(test())


def test_a_tenant_may_have_a_gateway() -> None:
    assert tenant(gateway=ENDPOINT).gateway == PARSED
    assert tenant(gateway={**ENDPOINT, "listen": "0.0.0.0"}).gateway == replace(PARSED, listen="0.0.0.0")
    assert tenant().gateway is tenant(gateway=None).gateway is None


def test_a_kubelet_may_be_guarded() -> None:
    behind = {"address": "127.64.0.2", "port": 10247, "namespace": "secret"}
    config = parse_config({**CONFIG, "kubelet": {"endpoint": ENDPOINT, "behind": behind}}, source="f")
    assert config.kubelet == GuardedKubelet(endpoint=PARSED, address="127.64.0.2", port=10247, namespace="secret")
    assert "secret" not in repr(config)
    assert parse_config(CONFIG, source="f").kubelet is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"address": ""}, "tenant.gateway: address is missing"),
        ({"certificate": None}, "tenant.gateway: certificate must be str, it is None"),
        ({"port": 65536}, r"tenant.gateway: port must be from 0 \(any\) to 65535, it is 65536"),
        ({"port": -1}, "port must be from 0"),
        ({"port": True}, "tenant.gateway: port must be int, it is True"),
        ({"ca": "/x"}, "tenant.gateway: unknown ca; known are"),
    ],
)
def test_what_is_wrong_with_it_is_told_by_field(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        tenant(gateway={**ENDPOINT, **changes})


def test_what_is_wrong_with_a_guarded_kubelet_is_told_by_field() -> None:
    with pytest.raises(ConfigError, match=r"f\.kubelet\.behind: namespace is missing"):
        behind = {"address": "a", "port": 1}
        parse_config({**CONFIG, "kubelet": {"endpoint": ENDPOINT, "behind": behind}}, source="f")
    with pytest.raises(ConfigError, match=r"f\.kubelet: unknown upstream"):
        behind = {"address": "a", "port": 1, "namespace": "n"}
        parse_config({**CONFIG, "kubelet": {"endpoint": ENDPOINT, "behind": behind, "upstream": 1}}, source="f")

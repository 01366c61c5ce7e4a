"""A tenant that may not read the host's nodes: its pods are on nodes that are made up, and nobody asks the host."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from syncer_case import Case, syncer
from two_api_servers import VERSION, Api, eventually, started
from vcluster_syncer.kube.client import Client
from vcluster_syncer.model import NODES, PODS

NODE = "worker.example.com"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture
def asked(servers, monkeypatch):
    """The paths that the syncer has asked the host for."""
    own, paths, request, opened = [], [], Client._request, Api.__init__

    def recorded(self, asked, timeout):
        if self not in own and str(servers.host.port) in self._base:
            paths.append(asked.path)
        return request(self, asked, timeout)

    def known(api, client):
        own.append(client)
        opened(api, client)

    monkeypatch.setattr(Client, "_request", recorded)
    monkeypatch.setattr(Api, "__init__", known)
    return paths


async def run_on(case, name):
    pod = await case.on_host(PODS, name)
    await case.host.bind(case.name, pod["metadata"]["name"], NODE)
    await case.set_status(pod, ready=True)

    async def is_running():
        found = await case.virtual.get(PODS, "default", name)
        return found["status"]["phase"] == "Running" and found

    return await eventually(is_running)


def test_pods_are_on_nodes_of_which_the_host_is_never_asked(servers, asked):
    async def scenario():
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
                case = await Case.prepare(host, virtual, servers.first)
                async with syncer(Path(directory), servers.host, off=["from_host.nodes"]) as admin:
                    await case.carried_by(admin, nodes={"mode": "fake"})
                    assert await virtual.list(NODES) == []
                    await comes_and_goes(case)

    asyncio.run(scenario())
    assert any("/pods" in path for path in asked)
    assert not [path for path in asked if "/nodes" in path]


async def comes_and_goes(case):
    for name in ("web", "other"):
        await case.create_pod(name)
        pod = await run_on(case, name)
        assert pod["spec"]["nodeName"] == NODE

    async def is_known():
        (node,) = await case.virtual.list(NODES)
        addresses = {one["type"]: one["address"] for one in node["status"]["addresses"]}
        return addresses == {"InternalIP": "10.9.9.9", "Hostname": NODE} and node

    node = await eventually(is_known)
    assert node["metadata"]["name"] == NODE
    assert node["status"]["nodeInfo"]["kubeletVersion"] == VERSION
    assert node["status"]["nodeInfo"]["architecture"] in {"amd64", "arm64"}
    assert {one["type"]: one["status"] for one in node["status"]["conditions"]}["Ready"] == "True"
    assert "podCIDR" not in node["spec"]

    await case.virtual.delete(PODS, "default", "web", grace=0)
    await case.create_pod("last")
    await run_on(case, "last")
    (still,) = await case.virtual.list(NODES)
    assert still["metadata"]["uid"] == node["metadata"]["uid"]
    for name in ("other", "last"):
        await case.virtual.delete(PODS, "default", name, grace=0)

    async def is_gone():
        return not await case.virtual.list(NODES)

    await eventually(is_gone)


def test_who_may_read_nodes_can_not_make_them_up(servers):
    async def scenario():
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
                case = await Case.prepare(host, virtual, servers.first)
                async with syncer(Path(directory), servers.host) as admin:
                    description = {**case.description, "nodes": {"mode": "fake"}}
                    status, answer = await admin.call("POST", "/v1/tenants", description)
                    assert status == 400
                    assert "turn sync.from_host.nodes off" in answer["error"]

    asyncio.run(scenario())

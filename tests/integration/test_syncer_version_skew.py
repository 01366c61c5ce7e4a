"""A virtual cluster on a host of another version: what one side does not know does not disturb the other."""

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from syncer_case import Case, syncer
from two_api_servers import Api, Servers, eventually, started
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.requests import FIELD_MANAGER
from vcluster_syncer.model import EVENTS, NODES, PODS, SERVICES

from pytest_vcluster.toolchain.versions import KNOWN_PATCH

pytestmark = pytest.mark.versions

PATIENCE = 60
ROUNDS = 12
PASSES = "vcluster_syncer_passes_total"
OLDEST, NEWEST = KNOWN_PATCH["1.35"], KNOWN_PATCH["1.37"]
# The oldest version knows neither.
ONLY_NEWEST_NODE = {"runningInUserNamespace": True}
ONLY_NEWEST_POD = {"volumeHealth": [{"name": "data"}]}


@dataclass(frozen=True)
class World:
    """Servers of two versions."""

    servers: Servers
    host: str
    virtual: str


@pytest.fixture(scope="module", params=[(OLDEST, NEWEST), (NEWEST, OLDEST)], ids=["newer virtual", "newer host"])
def world(request, tmp_path_factory):
    host, virtual = request.param
    with started(tmp_path_factory.mktemp("servers"), host=host, virtual=virtual) as servers:
        yield World(servers, host, virtual)


@contextlib.asynccontextmanager
async def carried(world, **options):
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(world.servers.host) as host, Api.open(world.servers.first) as virtual:
            case = await Case.prepare(host, virtual, world.servers.first)
            async with syncer(Path(directory), world.servers.host, **options) as admin:
                await case.carried_by(admin)
                yield case, admin


def ready(item):
    return {one["type"]: one for one in (item.get("status") or {}).get("conditions") or ()}.get("Ready", {})


def test_a_ready_pod_stays_ready_whatever_else_the_host_says(world, writes):
    async def scenario():
        async with carried(world, patrol=0.2) as (case, admin):
            await case.create_pod("web")
            host = await case.run("web")
            generation = host["metadata"]["generation"]
            seen = []

            async def look():
                virtual = await case.virtual.get(PODS, "default", "web")
                if seen or ready(virtual).get("status") == "True":
                    seen.append(ready(virtual).get("status"))
                return virtual

            async def shows(restarts):
                statuses = (await look())["status"].get("containerStatuses") or [{}]
                return statuses[0].get("restartCount") == restarts and bool(seen)

            for restarts in range(ROUNDS):
                current = await case.set_status(host, ready=True, restarts=restarts)
                conditions = [{**one, "observedGeneration": generation} for one in current["status"]["conditions"]]
                observed = {"observedGeneration": generation, "conditions": conditions, **ONLY_NEWEST_POD}
                await case.host.patch(PODS, case.name, host["metadata"]["name"], {"status": observed}, "status")
                await eventually(lambda wanted=restarts: shows(wanted), seconds=PATIENCE)

            async def shows_generation():
                virtual = await look()
                return ready(virtual).get("observedGeneration") == virtual["metadata"]["generation"] and virtual

            virtual = await eventually(shows_generation, seconds=PATIENCE)
            assert set(seen) == {"True"}
            assert virtual["status"]["qosClass"] == "BestEffort"
            await comes_to_rest(admin, writes)

    asyncio.run(scenario())


def test_a_node_comes_to_rest_without_what_the_older_side_does_not_know(world, writes):
    async def scenario():
        async with carried(world, patrol=0.2) as (case, admin):
            name = f"{case.name}-node-1"
            info = {"nodeInfo": {**NODE_INFO, **ONLY_NEWEST_NODE}, "conditions": [{"type": "Ready", "status": "True"}]}
            await case.host.patch(NODES, "", name, {"status": info}, "status")

            async def is_shown():
                node = await case.virtual.get(NODES, "", "node-1")
                return node["status"]["nodeInfo"]["kubeletVersion"] == NODE_INFO["kubeletVersion"] and ready(node)

            await eventually(is_shown, seconds=PATIENCE)
            node = await case.virtual.get(NODES, "", "node-1")
            assert ("runningInUserNamespace" in node["status"]["nodeInfo"]) == (world.host == world.virtual == NEWEST)
            await comes_to_rest(admin, writes)

    asyncio.run(scenario())


def test_what_only_the_newer_side_has_in_a_spec_does_not_keep_a_pod_or_service_away(world, writes):
    async def scenario():
        async with carried(world, patrol=0.2) as (case, admin):
            # The names of a group of pods changed in between, and so did who answers an eviction.
            await case.create_pod(
                "web",
                schedulingGroup={"podGroupName": "gang"},
                evictionResponders=[{"name": "example.com/drain"}],
                volumes=[{"name": "scratch", "emptyDir": {"mode": 0o750}}],
            )
            await case.virtual.create(SERVICES, "default", "web", spec={"ports": [{"port": 80}]})
            await case.on_host(SERVICES, "web")
            await case.run("web")

            async def is_ready():
                return ready(await case.virtual.get(PODS, "default", "web")).get("status") == "True"

            await eventually(is_ready, seconds=PATIENCE)
            await comes_to_rest(admin, writes)
            assert not [one for one in await case.virtual.list(EVENTS, "default") if one["type"] == "Warning"]

    asyncio.run(scenario())


NODE_INFO = dict.fromkeys(
    (
        "architecture",
        "bootID",
        "containerRuntimeVersion",
        "kernelVersion",
        "kubeProxyVersion",
        "machineID",
        "operatingSystem",
        "osImage",
        "systemUUID",
    ),
    "",
) | {"kubeletVersion": "v1.36.0"}


@pytest.fixture
def writes(monkeypatch):
    """What the syncer has written so far, but for deletions."""
    written = []
    send = Client.send

    async def noted(self, request):
        if f"fieldManager={FIELD_MANAGER}" in request.path:
            written.append(str(request))
        return await send(self, request)

    monkeypatch.setattr(Client, "send", noted)
    return written


async def passes(admin):
    _, text = await admin.call("GET", "/metrics")
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(PASSES))


async def comes_to_rest(admin, writes):
    """Wait until the patrol looks at everything again and again, and nothing is written."""

    async def is_at_rest():
        before, looked = len(writes), await passes(admin)

        async def has_looked():
            return await passes(admin) >= looked + 30

        await eventually(has_looked, seconds=PATIENCE)
        return len(writes) == before

    await eventually(is_at_rest, seconds=PATIENCE)

    async def complains_of_nothing():
        _, tenants = await admin.call("GET", "/v1/tenants")
        return not any(tenant["errors"] for tenant in tenants)

    await eventually(complains_of_nothing, seconds=PATIENCE)

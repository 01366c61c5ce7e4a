"""Claims of devices between real API servers, which validate all that is written. We play the host's scheduler."""

import asyncio
import contextlib
import tempfile
import uuid
from pathlib import Path

import pytest
from syncer_case import CONTAINER, Case, syncer
from two_api_servers import Api, eventually, started
from vcluster_syncer.model import DEVICE_CLASSES, EVENTS, PODS, RESOURCE_CLAIMS

PATIENCE = 60
ON = ("to_host.resource_claims", "from_host.device_classes")
DRIVER = "gpus.example.com"
CLAIMING = {**CONTAINER, "resources": {"claims": [{"name": "device"}]}}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@contextlib.asynccontextmanager
async def carried(servers, *on):
    """One tenant, carried, and the name of a device class of the host."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            case = await Case.prepare(host, virtual, servers.first)
            for api in (host, virtual):
                for claim in await api.list(RESOURCE_CLAIMS):
                    await api.delete(RESOURCE_CLAIMS, claim["metadata"]["namespace"], claim["metadata"]["name"])
            gpus = f"gpus-{uuid.uuid4().hex[:6]}"
            expression = {"cel": {"expression": f'device.driver == "{DRIVER}"'}}
            await host.create(DEVICE_CLASSES, "", gpus, spec={"selectors": [expression]})
            async with syncer(Path(directory), servers.host, on=on) as admin:
                await case.carried_by(admin)
                yield case, gpus


async def until(check):
    return await eventually(check, seconds=PATIENCE)


def claim_of(gpus):
    return {"devices": {"requests": [{"name": "one", "exactly": {"deviceClassName": gpus, "count": 1}}]}}


async def allocate(case, name):
    """Play the host's scheduler; returns what it allocated."""
    claim, pod = await case.on_host(RESOURCE_CLAIMS, name), await case.on_host(PODS, "web")
    result = {"request": "one", "driver": DRIVER, "pool": "node-1", "device": "gpu-0"}
    fields = [{"key": "metadata.name", "operator": "In", "values": [f"{case.name}-node-1"]}]
    own = pod["metadata"]
    status = {
        "allocation": {
            "devices": {"results": [result]},
            "nodeSelector": {"nodeSelectorTerms": [{"matchFields": fields}]},
        },
        "reservedFor": [{"resource": "pods", "name": own["name"], "uid": own["uid"]}],
    }
    await case.host.patch(RESOURCE_CLAIMS, case.name, claim["metadata"]["name"], {"status": status}, "status")
    return claim, result


@pytest.mark.parametrize("origin", ["claim", "template"])
def test_a_pod_gets_what_the_host_allocates_for_its_claim(servers, origin):
    async def scenario():
        async with carried(servers, *ON) as (case, gpus):
            await until(lambda: case.virtual.find(DEVICE_CLASSES, "", gpus))
            named = {"claim": {"resourceClaimName": "gpu"}, "template": {"resourceClaimTemplateName": "gpus"}}[origin]
            claims = [{"name": "device", **named}]
            await case.virtual.create(PODS, "default", "web", spec={"containers": [CLAIMING], "resourceClaims": claims})
            await case.virtual.create(RESOURCE_CLAIMS, "default", "gpu", spec=claim_of(gpus))
            if origin == "template":
                # The virtual cluster's controller tells what it has made.
                made = {"resourceClaimStatuses": [{"name": "device", "resourceClaimName": "gpu"}]}
                await case.virtual.patch(PODS, "default", "web", {"status": made}, "status")
            pod, there = await case.on_host(PODS, "web"), await case.on_host(RESOURCE_CLAIMS, "gpu")
            (own,) = pod["spec"]["resourceClaims"]
            assert own == {"name": "device", "resourceClaimName": there["metadata"]["name"]}
            assert there["spec"]["devices"]["requests"][0]["exactly"]["deviceClassName"] == gpus
            claim, result = await allocate(case, "gpu")

            async def is_shown():
                status = (await case.virtual.get(RESOURCE_CLAIMS, "default", "gpu")).get("status") or {}
                return status if status.get("allocation") else None

            status = await until(is_shown)
            assert status["allocation"]["devices"]["results"] == [result]
            (term,) = status["allocation"]["nodeSelector"]["nodeSelectorTerms"]
            assert term["matchFields"][0]["values"] == ["node-1"]
            assert [each["name"] for each in status["reservedFor"]] == ["web"]
            nothing = {"status": {"allocation": None, "reservedFor": None}}
            await case.host.patch(RESOURCE_CLAIMS, case.name, claim["metadata"]["name"], nothing, "status")

            async def is_given_back():
                status = (await case.virtual.get(RESOURCE_CLAIMS, "default", "gpu")).get("status") or {}
                return not status.get("allocation") and not status.get("reservedFor")

            await until(is_given_back)
            await case.virtual.delete(RESOURCE_CLAIMS, "default", "gpu")

            async def is_gone():
                return await case.host_object(RESOURCE_CLAIMS, "gpu") is None

            await until(is_gone)

    asyncio.run(scenario())


def test_where_claims_stay_in_the_virtual_cluster_the_user_is_told(servers):
    async def scenario():
        async with carried(servers) as (case, _):
            claims = [{"name": "device", "resourceClaimName": "gpu"}]
            await case.virtual.create(PODS, "default", "web", spec={"containers": [CLAIMING], "resourceClaims": claims})

            async def is_told():
                events = await case.virtual.list(EVENTS, "default")
                return any("to_host.resource_claims" in each["message"] for each in events)

            await until(is_told)
            assert await case.host_object(PODS, "web") is None

    asyncio.run(scenario())

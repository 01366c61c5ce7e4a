"""Bounds and reservations, enforced by a real API server and told to the user in his own words."""

import asyncio
import contextlib
import json
import tempfile
import uuid
from pathlib import Path

import orjson
import pytest
from syncer_case import CONTAINER, Case, syncer
from two_api_servers import NAMESPACES, Api, eventually, started
from vcluster_syncer.isolation import LIMIT_RANGES, RESOURCE_QUOTAS
from vcluster_syncer.kube.errors import Forbidden
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import EVENTS, NETWORK_POLICIES, NODES, PODS

ISOLATION = {
    "quota": {"pods": "1"},
    "limits": {"default": {"memory": "128Mi"}, "default_request": {"cpu": "100m"}},
    "pod_security": "baseline",
    "network_policy": True,
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@contextlib.asynccontextmanager
async def prepared(servers):
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            case = await Case.prepare(host, virtual, servers.first)
            async with syncer(Path(directory), servers.host) as admin:
                yield case, admin


async def refusal(case, name):
    """What the user is told about a pod that the host would not take."""

    async def told():
        events = await case.virtual.list(EVENTS, "default")
        return [one["message"] for one in events if one["involvedObject"]["name"] == name and one["type"] == "Warning"]

    [message] = await eventually(told)
    return message


async def is_enforced(case):
    """Whether a pod that is mightier than the namespace allows would be refused."""
    spec = {"hostPID": True, "containers": [CONTAINER]}
    probe = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": spec}
    request = Request(method="POST", path=f"{PODS.path(case.name)}?dryRun=All", body=orjson.dumps(probe))
    try:
        await case.host.client.send(request)
    except Forbidden as error:
        return "PodSecurity" in error.message
    return False


def test_what_the_host_refuses_is_told_and_what_it_adds_stays(servers):
    async def scenario():
        async with prepared(servers) as (case, admin):
            await case.carried_by(admin, isolation=ISOLATION)
            [quota] = await case.host.list(RESOURCE_QUOTAS, case.name)
            assert quota["spec"]["hard"] == {"pods": "1"}
            assert len(await case.host.list(LIMIT_RANGES, case.name)) == 1
            assert len(await case.host.list(NETWORK_POLICIES, case.name)) == 1
            # The controller that counts is not here.
            status = {"status": {"hard": {"pods": "1"}, "used": {"pods": "0"}}}
            await case.host.patch(RESOURCE_QUOTAS, case.name, quota["metadata"]["name"], status, "status")

            # The host's admission learns of the namespace's labels a moment later.
            await eventually(lambda: is_enforced(case))
            await case.create_pod("mighty", hostPID=True)
            assert "violates PodSecurity" in await refusal(case, "mighty")
            await case.create_pod("first")
            pod = await case.on_host(PODS, "first")
            asked = pod["spec"]["containers"][0]["resources"]
            assert (asked["limits"], asked["requests"]["cpu"]) == ({"memory": "128Mi"}, "100m")
            await case.create_pod("second")
            message = await refusal(case, "second")
            assert "exceeded quota" in message
            assert pod["metadata"]["namespace"] not in message

    asyncio.run(scenario())


def test_bounds_follow_the_configuration_when_a_tenant_comes_again(servers):
    async def scenario():
        async with prepared(servers) as (case, admin):
            await case.carried_by(admin, isolation=ISOLATION)
            await admin.call("DELETE", f"/v1/tenants/{case.name}")
            await case.carried_by(admin, isolation={"quota": {"pods": "7"}, "pod_security": "restricted"})
            [quota] = await case.host.list(RESOURCE_QUOTAS, case.name)
            assert quota["spec"]["hard"] == {"pods": "7"}
            assert await case.host.list(LIMIT_RANGES, case.name) == []
            assert await case.host.list(NETWORK_POLICIES, case.name) == []
            labels = (await case.host.get(NAMESPACES, "", case.name))["metadata"]["labels"]
            assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

            # Somebody else's under that name is in the way, and stays what it is.
            await admin.call("DELETE", f"/v1/tenants/{case.name}")
            patch = {"metadata": {"labels": {"vcluster-syncer/tenant": "another"}}}
            await case.host.patch(RESOURCE_QUOTAS, case.name, quota["metadata"]["name"], patch)
            description = {**case.description, "isolation": {"quota": {"pods": "9"}}}
            status, answer = await admin.call("POST", "/v1/tenants", description)
            assert status == 409
            assert "was made by somebody else; delete it on the host" in answer["error"]
            [quota] = await case.host.list(RESOURCE_QUOTAS, case.name)
            assert quota["spec"]["hard"] == {"pods": "7"}

    asyncio.run(scenario())


def test_room_is_kept_for_a_tenant_and_the_next_is_refused_until_it_goes(servers):
    async def scenario():
        async with prepared(servers) as (case, admin), Api.open(servers.second) as neighbour:
            resource = f"example.com/{uuid.uuid4().hex[:6]}"
            node = f"shared-{case.name}"
            allocatable = {resource: "10", "pods": "100"}
            ready = [{"type": "Ready", "status": "True"}]
            status = {"status": {"allocatable": allocatable, "capacity": allocatable, "conditions": ready}}
            await case.host.create(NODES, "", node, spec={})
            await case.host.patch(NODES, "", node, status, "status")
            # A node that a server makes is tainted until a controller has seen it.
            await case.host.patch(NODES, "", node, {"spec": {"taints": None}})
            other = await Case.prepare(case.host, neighbour, servers.second)
            shared = {"nodes": {"mode": "shared"}}
            try:
                await case.carried_by(admin, reserve={resource: "6"}, **shared)
                description = {**other.description, **shared, "reserve": {resource: "5"}}
                code, answer = await admin.call("POST", "/v1/tenants", description)
                assert code == 507
                assert f"{resource}: 5 asked for, 4 free of 10 (6 reserved by other clusters" in answer["error"]
                annotations = (await case.host.get(NAMESPACES, "", other.name))["metadata"].get("annotations", {})
                assert "vcluster-syncer/reserved" not in annotations

                await other.carried_by(admin, **shared, reserve={resource: "4"})
                noted = (await case.host.get(NAMESPACES, "", other.name))["metadata"]["annotations"]
                assert json.loads(noted["vcluster-syncer/reserved"])["resources"] == {resource: "4"}
                for one in (case, other):
                    await admin.call("DELETE", f"/v1/tenants/{one.name}")
                code, answer = await admin.call("POST", "/v1/tenants", description)
                assert code == 201, answer
            finally:
                await case.host.delete(NODES, "", node)

    asyncio.run(scenario())

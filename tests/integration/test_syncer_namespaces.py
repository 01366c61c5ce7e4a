"""A tenant whose virtual namespaces have host namespaces of their own, between real API servers."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from syncer_case import CONTAINER, Case, syncer
from two_api_servers import NAMESPACES, SERVICE_ACCOUNTS, Api, eventually, started
from vcluster_syncer.kube.errors import AlreadyExists, NotFound
from vcluster_syncer.model import CONFIGMAPS, EVENTS, PODS, SERVICES

EACH = {"namespaces": {"mode": "each"}}
SWITCH = "to_host.namespaces"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@contextlib.asynccontextmanager
async def prepared(servers):
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            case = await Case.prepare(host, virtual, servers.first)
            try:
                yield case, Path(directory)
            finally:
                for space in await host.list(NAMESPACES, labels=f"vcluster-syncer/tenant={case.name}"):
                    with contextlib.suppress(NotFound):
                        await host.delete(NAMESPACES, "", space["metadata"]["name"])


async def space_of(case, namespace):
    """The host namespace of a virtual one."""
    wanted = {"vcluster-syncer/name": namespace, "vcluster-syncer/kind": "Namespace"}

    async def found():
        spaces = await case.host.list(NAMESPACES, labels=f"vcluster-syncer/tenant={case.name}")
        names = [one["metadata"]["name"] for one in spaces if wanted.items() <= one["metadata"]["annotations"].items()]
        assert len(names) < 2, names
        return names and names[0]

    return await eventually(found)


async def add_pod(case, namespace, name="web"):
    space = await space_of(case, namespace)
    # On the host a controller would make it.
    with contextlib.suppress(AlreadyExists):
        await case.host.create(SERVICE_ACCOUNTS, space, "default")
    with contextlib.suppress(AlreadyExists):
        await case.virtual.create(SERVICE_ACCOUNTS, namespace, "default")
    environment = [{"configMapRef": {"name": "settings"}}]
    spec = {"containers": [{**CONTAINER, "envFrom": environment}]}
    await case.virtual.create(PODS, namespace, name, spec=spec)
    return space


def only(case, resource, space, name="web"):
    """The one object in a host namespace of a virtual one of that name."""

    async def one():
        there = await case.host.list(resource, space, labels=f"vcluster-syncer/tenant={case.name}")
        found = [obj for obj in there if obj["metadata"]["annotations"]["vcluster-syncer/name"] == name]
        assert len(found) < 2
        return found and found[0]

    return eventually(one)


def test_objects_of_each_namespace_are_in_one_of_their_own_and_come_back_from_it(servers):
    async def scenario():
        async with prepared(servers) as (case, directory), syncer(directory, servers.host, on=[SWITCH]) as admin:
            await case.carried_by(admin, **EACH)
            other = f"team-{case.name}"
            await case.virtual.create(NAMESPACES, "", other, metadata={"labels": {"env": "test"}})
            spaces = {}
            for namespace in ("default", other):
                await case.virtual.create(CONFIGMAPS, namespace, "settings", data={"of": namespace})
                spaces[namespace] = space = await add_pod(case, namespace)
                await case.virtual.create(SERVICES, namespace, "web", spec={"ports": [{"port": 80}]})
                pod, _ = await only(case, PODS, space), await only(case, SERVICES, space)
                assert (await only(case, CONFIGMAPS, space, "settings"))["data"] == {"of": namespace}

                await case.host.bind(space, pod["metadata"]["name"], f"{case.name}-node-1")
                status = {"phase": "Running", "podIP": "10.1.2.3", "startTime": "2026-01-01T00:00:00Z"}
                await case.host.patch(PODS, space, pod["metadata"]["name"], {"status": status}, "status")

                async def is_running(namespace=namespace):
                    return (await case.virtual.get(PODS, namespace, "web"))["status"].get("podIP")

                await eventually(is_running)
                about = {"kind": "Pod", "namespace": space, "name": pod["metadata"]["name"]}
                about["uid"] = pod["metadata"]["uid"]
                message = f"pulled for {space}/{pod['metadata']['name']}"
                name = f"{pod['metadata']['name']}.1"
                await case.host.create(EVENTS, space, name, involvedObject=about, reason="Pulled", message=message)

                async def is_told(namespace=namespace):
                    return [one for one in await case.virtual.list(EVENTS, namespace) if one["reason"] == "Pulled"]

                [event] = await eventually(is_told)
                assert event["message"] == f"pulled for {namespace}/web"
            assert len(set(spaces.values())) == 2
            assert await case.host.list(PODS, case.name) == []

    asyncio.run(scenario())


def test_a_syncer_that_starts_again_finds_what_it_made(servers):
    async def scenario():
        async with prepared(servers) as (case, directory):
            async with syncer(directory, servers.host, on=[SWITCH]) as admin:
                await case.carried_by(admin, **EACH)
                await case.virtual.create(CONFIGMAPS, "default", "settings", data={"of": "it"})
                space = await add_pod(case, "default")
                pod = await only(case, PODS, space)
            # Meanwhile one goes, and the other changes.
            await case.virtual.delete(PODS, "default", "web", grace=0)
            spaces = await case.host.list(NAMESPACES, labels=f"vcluster-syncer/tenant={case.name}")
            async with syncer(directory, servers.host, on=[SWITCH]) as admin:
                await case.carried_by(admin, **EACH)

                async def is_gone():
                    return await case.host.find(PODS, space, pod["metadata"]["name"]) is None

                await eventually(is_gone)
                after = await case.host.list(NAMESPACES, labels=f"vcluster-syncer/tenant={case.name}")
                assert {one["metadata"]["uid"] for one in after} == {one["metadata"]["uid"] for one in spaces}

    asyncio.run(scenario())


def test_the_host_namespace_of_a_deleted_namespace_goes_and_a_foreign_one_stays(servers):
    async def scenario():
        async with prepared(servers) as (case, directory), syncer(directory, servers.host, on=[SWITCH]) as admin:
            await case.carried_by(admin, **EACH)
            name = f"team-{case.name}"
            await case.virtual.create(NAMESPACES, "", name)
            space = await space_of(case, name)
            # Somebody copies one, labels and all.
            copied = (await case.host.get(NAMESPACES, "", space))["metadata"]
            copy = {"labels": copied["labels"], "annotations": copied["annotations"]}
            await case.host.create(NAMESPACES, "", f"copy-{case.name}", metadata=copy)
            await case.virtual.delete(NAMESPACES, "", name)
            # The controller that finishes namespaces is not here.
            finished = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "spec": {"finalizers": []}}
            await case.virtual.finalize(finished)

            async def is_going():
                found = await case.host.find(NAMESPACES, "", space)
                return found is None or found["metadata"].get("deletionTimestamp")

            await eventually(is_going)
            await case.virtual.create(CONFIGMAPS, "default", "settings", data={})
            await add_pod(case, "default")
            await only(case, PODS, await space_of(case, "default"))
            left = await case.host.get(NAMESPACES, "", f"copy-{case.name}")
            assert "deletionTimestamp" not in left["metadata"]

    asyncio.run(scenario())


def test_a_tenant_may_not_ask_for_what_the_syncer_was_not_told_to_do(servers):
    async def scenario():
        async with prepared(servers) as (case, directory), syncer(directory, servers.host) as admin:
            status, answer = await admin.call("POST", "/v1/tenants", {**case.description, **EACH})
            assert status == 400
            assert "turn on sync.to_host.namespaces" in answer["error"]
            await case.carried_by(admin)

    asyncio.run(scenario())

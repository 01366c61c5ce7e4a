"""The syncer between real API servers: two worlds in, two worlds out."""

import asyncio
import base64
import contextlib
import json
import tempfile
from pathlib import Path

import pytest
from syncer_case import CONTAINER, Case, syncer
from two_api_servers import Api, eventually, started
from vcluster_syncer.model import CONFIGMAPS, EVENTS, NODES, PODS, SECRETS, SERVICES


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@contextlib.asynccontextmanager
async def carried(servers):
    """One tenant, carried."""
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            case = await Case.prepare(host, virtual, servers.first)
            async with syncer(Path(directory), servers.host) as admin:
                await case.carried_by(admin)
                yield case


def test_a_pod_with_configmap_secret_and_token_runs(servers):
    async def scenario():
        async with carried(servers) as case:
            await case.virtual.create(CONFIGMAPS, "default", "settings", data={"colour": "blue"})
            await case.virtual.create(CONFIGMAPS, "default", "unused", data={"colour": "red"})
            await case.virtual.create(SECRETS, "default", "password", stringData={"p": "hunter2"})
            environment = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "password"}}]
            await case.create_pod("web", containers=[{**CONTAINER, "envFrom": environment}])
            pod = await case.on_host(PODS, "web")
            names = [source[kind]["name"] for source in pod["spec"]["containers"][0]["envFrom"] for kind in source]
            settings, password = await case.on_host(CONFIGMAPS, "settings"), await case.on_host(SECRETS, "password")
            assert names == [settings["metadata"]["name"], password["metadata"]["name"]]
            assert settings["data"] == {"colour": "blue"}
            assert base64.b64decode(password["data"]["p"]) == b"hunter2"
            assert (await case.on_host(CONFIGMAPS, "kube-root-ca.crt"))["data"] == {"ca.crt": "the virtual CA"}
            assert not await case.host_object(CONFIGMAPS, "unused")
            secrets = await case.host.list(SECRETS, case.name)
            [tokens] = [one for one in secrets if one["metadata"]["uid"] != password["metadata"]["uid"]]
            [value] = tokens["data"].values()
            claims = base64.b64decode(value).split(b".")[1]
            claims = json.loads(base64.urlsafe_b64decode(claims + b"=="))
            assert claims["kubernetes.io"]["pod"]["name"] == "web"

            await case.run("web")

            async def is_running():
                virtual = await case.virtual.get(PODS, "default", "web")
                return virtual["status"].get("podIP") and virtual

            virtual = await eventually(is_running)
            assert virtual["spec"]["nodeName"] == "node-1"
            assert virtual["status"]["phase"] == "Running"
            assert case.name not in json.dumps(virtual["status"])

    asyncio.run(scenario())


def test_nodes_are_mirrored_when_the_tenant_is_ready(servers):
    async def scenario():
        async with carried(servers) as case:
            assert [node["metadata"]["name"] for node in await case.virtual.list(NODES)] == ["node-1"]
            await case.add_host_node("node-2")
            await eventually(lambda: case.virtual.find(NODES, "", "node-2"))
            await case.host.delete(NODES, "", f"{case.name}-node-2")

            async def is_gone():
                return await case.virtual.find(NODES, "", "node-2") is None

            await eventually(is_gone)

    asyncio.run(scenario())


def test_a_service_has_the_same_address_on_both_sides_and_goes_with_the_virtual_one(servers):
    async def scenario():
        async with carried(servers) as case:
            spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
            virtual = await case.virtual.create(SERVICES, "default", "web", spec=spec)
            host = await case.on_host(SERVICES, "web")
            assert host["spec"]["clusterIP"] == virtual["spec"]["clusterIP"]
            await case.virtual.patch(SERVICES, "default", "web", {"spec": {"ports": [{"port": 81}]}})

            async def is_changed():
                return (await case.on_host(SERVICES, "web"))["spec"]["ports"][0]["port"] == 81

            await eventually(is_changed)
            await case.virtual.delete(SERVICES, "default", "web")

            async def is_gone():
                return not await case.host.list(SERVICES, case.name)

            await eventually(is_gone)

    asyncio.run(scenario())


def test_host_events_are_retold_without_host_names(servers):
    async def scenario():
        async with carried(servers) as case:
            await case.create_pod("web")
            pod = await case.on_host(PODS, "web")
            name = pod["metadata"]["name"]
            await case.host.create(
                EVENTS,
                case.name,
                f"{name}.1",
                involvedObject={
                    "kind": "Pod",
                    "apiVersion": "v1",
                    "name": name,
                    "namespace": case.name,
                    "uid": pod["metadata"]["uid"],
                },
                reason="Pulled",
                message=f"image for {case.name}/{name} is here",
                type="Normal",
                lastTimestamp="2026-11-21T00:00:00Z",
            )

            async def retold():
                return [event for event in await case.virtual.list(EVENTS, "default") if event["reason"] == "Pulled"]

            [event] = await eventually(retold)
            assert event["involvedObject"]["name"] == "web"
            assert event["message"] == "image for default/web is here"

    asyncio.run(scenario())


def test_deleting_a_virtual_pod_ends_the_host_pod_first(servers):
    async def scenario():
        async with carried(servers) as case:
            await case.create_pod("web")
            host = await case.run("web")
            await eventually(lambda: is_bound(case, "web"))
            await case.virtual.delete(PODS, "default", "web", grace=7)

            async def is_ending():
                pod = await case.host_object(PODS, "web")
                return pod and pod["metadata"].get("deletionGracePeriodSeconds") == 7

            await eventually(is_ending)
            assert await case.virtual.find(PODS, "default", "web")
            await case.host.delete(PODS, case.name, host["metadata"]["name"], grace=0)
            await eventually(lambda: is_absent(case.virtual, PODS, "default", "web"))
            await eventually(lambda: is_empty(case.host, SECRETS, case.name))

    asyncio.run(scenario())


def test_a_pod_that_vanishes_on_the_host_vanishes_in_the_virtual_cluster(servers):
    async def scenario():
        async with carried(servers) as case:
            await case.create_pod("web")
            host = await case.run("web")
            # Before it has started there, it would be made again.
            await eventually(lambda: is_running(case, "web"))
            await case.host.delete(PODS, case.name, host["metadata"]["name"], grace=0)
            await eventually(lambda: is_absent(case.virtual, PODS, "default", "web"))

    asyncio.run(scenario())


def test_a_namesake_of_a_deleted_pod_gets_a_host_pod_of_its_own(servers):
    async def scenario():
        async with carried(servers) as case:
            await case.create_pod("web")
            first = await case.run("web")
            await case.virtual.delete(PODS, "default", "web", grace=0)
            second = await case.create_pod("web")

            async def is_new():
                pod = await case.host_object(PODS, "web")
                return (
                    pod and pod["metadata"]["annotations"]["vcluster-syncer/uid"] == second["metadata"]["uid"] and pod
                )

            pod = await eventually(is_new)
            assert pod["metadata"]["uid"] != first["metadata"]["uid"]

    asyncio.run(scenario())


def test_a_host_object_that_is_not_ours_is_not_touched_and_the_user_is_told(servers):
    async def scenario():
        async with carried(servers) as case:
            await case.create_pod("web")
            name = (await case.on_host(PODS, "web"))["metadata"]["name"]
            await case.virtual.delete(PODS, "default", "web", grace=0)
            await eventually(lambda: is_empty(case.host, PODS, case.name))
            foreign = await case.host.create(PODS, case.name, name, spec={"containers": [CONTAINER]})
            await case.create_pod("web")

            async def warnings():
                return [event for event in await case.virtual.list(EVENTS, "default") if event["type"] == "Warning"]

            [event] = await eventually(warnings)
            assert event["involvedObject"]["name"] == "web"
            assert (await case.host.get(PODS, case.name, name))["metadata"]["resourceVersion"] == (
                foreign["metadata"]["resourceVersion"]
            )

    asyncio.run(scenario())


async def is_bound(case, name):
    return (await case.virtual.get(PODS, "default", name))["spec"].get("nodeName")


async def is_running(case, name):
    pod = await case.virtual.get(PODS, "default", name)
    return (pod.get("status") or {}).get("phase") == "Running"


async def is_absent(api, resource, namespace, name):
    return await api.find(resource, namespace, name) is None


async def is_empty(api, resource, namespace):
    return not await api.list(resource, namespace)

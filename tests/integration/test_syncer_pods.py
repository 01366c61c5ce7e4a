"""Pods between real API servers: what changes, who ends whom, and what each side may say."""

import asyncio
import contextlib
import json
import tempfile
from pathlib import Path

import orjson
import pytest
from syncer_case import CONTAINER, Case, syncer
from two_api_servers import NAMESPACES, Api, eventually, started
from vcluster_syncer.kube.errors import KubeError
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import EVENTS, PODS, Resource

PATIENCE = 60
LIMIT_RANGES = Resource("", "v1", "limitranges", "LimitRange")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@contextlib.asynccontextmanager
async def carried(servers, **options):
    """One tenant, carried."""
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            case = await Case.prepare(host, virtual, servers.first)
            async with syncer(Path(directory), servers.host, **options) as admin:
                await case.carried_by(admin)
                yield case


def in_a_world(servers, scenario, **options):
    async def run():
        async with carried(servers, **options) as case:
            await scenario(case)

    asyncio.run(run())


async def pod(case, name="web"):
    return await case.virtual.get(PODS, "default", name)


async def host_pod(case, name="web"):
    found = await case.host_object(PODS, name)
    assert found is not None, name
    return found


async def until(look, *arguments):
    """Wait until what `look` returns is true."""
    return await eventually(lambda: look(*arguments), seconds=PATIENCE)


def condition(item, kind):
    found = [one for one in item.get("status", {}).get("conditions") or () if one["type"] == kind]
    return found[0]["status"] if found else None


async def running(case, **spec):
    await case.create_pod("web", **spec)
    await case.run("web")

    async def is_ready():
        return condition(await pod(case), "Ready") == "True"

    await until(is_ready)


async def set_on_host(case, field, **values):
    name = (await host_pod(case))["metadata"]["name"]
    await case.host.patch(PODS, case.name, name, {"metadata": {field: values}})


async def edit(case, subresource, change):
    """Let the user change the pod's spec, as kubectl edit does."""

    async def is_changed():
        virtual = await pod(case)
        change(virtual["spec"])
        path = PODS.path("default", "web", subresource)
        return await case.virtual.client.send(Request(method="PUT", path=path, body=orjson.dumps(virtual)))

    # Another change may come in between: a conflict, and once more.
    await until(is_changed)


def test_an_eviction_is_one_on_the_host(servers):
    async def scenario(case):
        await running(case, terminationGracePeriodSeconds=11)
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web", "namespace": "default"}}
        path = PODS.path("default", "web", "eviction")
        await case.virtual.client.send(Request(method="POST", path=path, body=orjson.dumps(body)))

        async def is_ending():
            return (await host_pod(case))["metadata"].get("deletionGracePeriodSeconds") == 11

        await until(is_ending)
        virtual = await pod(case)
        assert virtual["metadata"]["deletionGracePeriodSeconds"] == 11
        assert condition(virtual, "DisruptionTarget") == "True"
        await case.host.delete(PODS, case.name, (await host_pod(case))["metadata"]["name"], grace=0)
        await until(is_absent, case)

    in_a_world(servers, scenario)


def test_a_deletion_on_the_host_ends_the_virtual_pod_with_the_same_grace(servers):
    async def scenario(case):
        await running(case)
        await case.host.delete(PODS, case.name, (await host_pod(case))["metadata"]["name"], grace=9)

        async def is_ending():
            return (await pod(case))["metadata"].get("deletionGracePeriodSeconds") == 9

        await until(is_ending)

    in_a_world(servers, scenario)


def test_a_held_pod_whose_host_pod_vanished_has_failed(servers):
    async def scenario(case):
        await running(case)
        await case.virtual.patch(PODS, "default", "web", {"metadata": {"finalizers": ["example.com/tracking"]}})
        await case.host.delete(PODS, case.name, (await host_pod(case))["metadata"]["name"], grace=0)

        async def has_ended():
            virtual = await pod(case)
            return virtual["metadata"].get("deletionTimestamp") and virtual["status"]["phase"] == "Failed"

        await until(has_ended)
        await case.virtual.patch(PODS, "default", "web", {"metadata": {"finalizers": None}})
        await until(is_absent, case)

    in_a_world(servers, scenario)


def test_image_debug_container_and_size_follow_while_it_runs(servers):
    async def scenario(case):
        small, large = ({"requests": {"cpu": "100m", "memory": size}} for size in ("32Mi", "64Mi"))
        await running(case, containers=[{**CONTAINER, "resources": small}])
        await edit(case, "", lambda spec: spec["containers"][0].update(image="registry.example/app:2"))
        debug = {"name": "debug", "image": "busybox:1"}
        await edit(case, "ephemeralcontainers", lambda spec: spec.update(ephemeralContainers=[debug]))
        # Only a kubelet that tells what it gave may be asked for more.
        statuses = [{**one, "resources": small} for one in (await host_pod(case))["status"]["containerStatuses"]]
        name = (await host_pod(case))["metadata"]["name"]
        await case.host.patch(PODS, case.name, name, {"status": {"containerStatuses": statuses}}, "status")
        await edit(case, "resize", lambda spec: spec["containers"][0].update(resources=large))

        async def has_followed():
            spec = (await host_pod(case))["spec"]
            main = spec["containers"][0]
            return (
                main["image"] == "registry.example/app:2"
                and main["resources"] == large
                and [one["name"] for one in spec.get("ephemeralContainers", ())] == ["debug"]
            )

        await until(has_followed)

    in_a_world(servers, scenario)


def test_resources_that_a_limit_range_of_the_host_gave_are_neither_shown_nor_fought(servers):
    async def scenario(case):
        limit = {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m", "memory": "16Mi"}}
        await case.host.create(LIMIT_RANGES, case.name, "limits", spec={"limits": [limit]})
        await until(has_limits, case)
        await running(case)
        given = (await host_pod(case))["spec"]["containers"][0]["resources"]
        assert given["requests"] == {"cpu": "100m", "memory": "16Mi"}
        tolerations = [*(await pod(case))["spec"].get("tolerations", ()), {"key": "mine", "operator": "Exists"}]
        await case.virtual.patch(PODS, "default", "web", {"spec": {"tolerations": tolerations}})

        async def has_followed():
            there = await host_pod(case)
            return "mine" in [one.get("key") for one in there["spec"]["tolerations"]] and there

        there = await until(has_followed)
        assert there["spec"]["containers"][0]["resources"] == given
        assert (await pod(case))["spec"]["containers"][0]["resources"] == {}
        assert (await pod(case))["status"]["qosClass"] == "BestEffort"
        assert not await warnings(case)

    in_a_world(servers, scenario)


def test_readiness_gates_are_told_both_ways(servers):
    async def scenario(case):
        await running(case, readinessGates=[{"conditionType": "example.com/up"}])
        current = await pod(case)
        up = {"type": "example.com/up", "status": "True"}
        conditions = {"status": {"conditions": [*current["status"]["conditions"], up]}}
        await case.virtual.patch(PODS, "default", "web", conditions, "status")

        async def is_up_on_the_host():
            return condition(await host_pod(case), "example.com/up") == "True"

        await until(is_up_on_the_host)
        await set_condition_on_host(case, {"type": "example.com/hosts-own", "status": "True"})

        async def both_are_shown():
            virtual = await pod(case)
            return condition(virtual, "example.com/hosts-own") == condition(virtual, "example.com/up") == "True"

        await until(both_are_shown)

    in_a_world(servers, scenario)


def test_a_scheduling_gate_is_opened_with_what_was_decided_meanwhile(servers):
    async def scenario(case):
        await case.create_pod("web", schedulingGates=[{"name": "example.com/wait"}])
        assert (await case.on_host(PODS, "web"))["spec"]["schedulingGates"]
        open_gate = {"spec": {"schedulingGates": None, "nodeSelector": {"disk": "fast"}}}
        await case.virtual.patch(PODS, "default", "web", open_gate)

        async def is_open():
            spec = (await host_pod(case))["spec"]
            return not spec.get("schedulingGates") and spec["nodeSelector"].get("disk") == "fast"

        await until(is_open)

    in_a_world(servers, scenario)


def test_annotations_of_the_host_are_shown_and_go_with_it(servers):
    async def scenario(case):
        await running(case)
        host = await host_pod(case)
        await set_on_host(case, "annotations", **{"net/status": f"{case.name}/{host['metadata']['name']}: up"})
        await set_on_host(case, "labels", **{"mesh/injected": "true"})

        async def shown():
            metadata = (await pod(case))["metadata"]
            return metadata.get("annotations", {}).get("net/status"), metadata.get("labels", {}).get("mesh/injected")

        async def is_shown():
            return await shown() == ("default/web: up", "true")

        await until(is_shown)
        await set_on_host(case, "annotations", **{"net/status": None})
        await set_on_host(case, "labels", **{"mesh/injected": None})

        async def is_gone():
            return await shown() == (None, None)

        await until(is_gone)

    in_a_world(servers, scenario)


def test_a_stateful_pod_calls_itself_what_its_peers_call_it(servers):
    async def scenario(case):
        await case.create_pod("db-0", hostname="db-0", subdomain="db", setHostnameAsFQDN=True)
        await case.create_pod("db-1", hostname="db-1", subdomain="db")
        full, short = [(await case.on_host(PODS, name))["spec"] for name in ("db-0", "db-1")]
        assert (full["hostname"], full["hostnameOverride"]) == ("db-0", "db-0.db.default.svc.cluster.local")
        assert (short["hostname"], "hostnameOverride" in short, "subdomain" in short) == ("db-1", False, False)

    in_a_world(servers, scenario)


def test_what_the_host_forbids_is_told_with_its_reason_and_done_once_it_allows_it(servers):
    async def scenario(case):
        level = "pod-security.kubernetes.io/enforce"
        await case.host.patch(NAMESPACES, "", case.name, {"metadata": {"labels": {level: "baseline"}}})
        await until(has_level, case, level)
        await case.create_pod("web", hostNetwork=True)
        told = await until(warnings, case)
        assert [event["involvedObject"]["name"] for event in told] == ["web"]
        assert "violates PodSecurity" in told[0]["message"]
        assert "hostNetwork" in told[0]["message"]
        assert case.name not in json.dumps(told)
        await case.host.patch(NAMESPACES, "", case.name, {"metadata": {"labels": {level: None}}})
        await until(case.host_object, PODS, "web")

    in_a_world(servers, scenario)


async def set_condition_on_host(case, made):
    host = await host_pod(case)
    conditions = [*host["status"]["conditions"], made]
    await case.host.patch(PODS, case.name, host["metadata"]["name"], {"status": {"conditions": conditions}}, "status")


async def warnings(case):
    return [event for event in await case.virtual.list(EVENTS, "default") if event["type"] == "Warning"]


async def is_absent(case, name="web"):
    return await case.virtual.find(PODS, "default", name) is None


async def has_level(case, level):
    """Whether admission on the host enforces it already."""
    container = {**CONTAINER, "securityContext": {"privileged": True}}
    return not await is_admitted(case, containers=[container])


async def has_limits(case):
    """Whether admission on the host gives resources already."""
    probe = await is_admitted(case, containers=[CONTAINER])
    return probe and probe["spec"]["containers"][0].get("resources")


async def is_admitted(case, **spec):
    metadata = {"name": "probe", "namespace": case.name}
    probe = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    request = Request(method="POST", path=f"{PODS.path(case.name)}?dryRun=All", body=orjson.dumps(probe))
    with contextlib.suppress(KubeError):
        return await case.host.client.send(request)
    return None

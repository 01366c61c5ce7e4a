"""Claims, volumes and what serves them, between real API servers. There is no binder: the tests play it."""

import asyncio
import contextlib
import tempfile
import uuid
from pathlib import Path

import pytest
from syncer_case import Case, syncer
from two_api_servers import NAMESPACES, Api, eventually, started
from vcluster_syncer.kube.errors import NotFound
from vcluster_syncer.model import (
    CSI_DRIVERS,
    CSI_NODES,
    CSI_STORAGE_CAPACITIES,
    EVENTS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STORAGE_CLASSES,
    VOLUME_ATTRIBUTES_CLASSES,
)

PATIENCE = 60
WRITING = ("to_host.persistent_volumes", "from_host.storage_classes")
READING = ("from_host.persistent_volumes", "from_host.storage_classes")
NEITHER = ("from_host.storage_classes",)
SPEC = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}},
    "storageClassName": "fast",
}
CLASS = {"provisioner": "example.com/disks", "reclaimPolicy": "Retain", "allowVolumeExpansion": True}
NODE = "volume.kubernetes.io/selected-node"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


async def purge(api):
    """Delete what nobody protects any more, there being no controller who knows."""
    for resource in (
        PERSISTENT_VOLUME_CLAIMS,
        PERSISTENT_VOLUMES,
        STORAGE_CLASSES,
        VOLUME_ATTRIBUTES_CLASSES,
        CSI_DRIVERS,
    ):
        for obj in await api.list(resource):
            await end(api, resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


async def end(api, resource, namespace, name):
    """Delete an object whose protection has just found out that nobody needs it."""
    with contextlib.suppress(NotFound):
        await api.patch(resource, namespace, name, {"metadata": {"finalizers": None}})
        await api.delete(resource, namespace, name)


@contextlib.asynccontextmanager
async def carried(servers, *on, **changes):
    """One tenant, carried, and a storage class on the host."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            for api in (host, virtual):
                await purge(api)
            case = await Case.prepare(host, virtual, servers.first)
            await host.create(STORAGE_CLASSES, "", "fast", **CLASS)
            async with syncer(Path(directory), servers.host, on=on) as admin:
                await case.carried_by(admin, **changes)
                yield case


async def unprotected(case, name):
    """Wait until a host claim is on its way out, and play the controller that protects claims in use."""

    async def is_terminating():
        found = await case.host_object(PERSISTENT_VOLUME_CLAIMS, name)
        return found is None or (found if found["metadata"].get("deletionTimestamp") else None)

    found = await eventually(is_terminating, seconds=PATIENCE)
    if found is not True:
        await end(case.host, PERSISTENT_VOLUME_CLAIMS, case.name, found["metadata"]["name"])


async def bind(case, name, *, policy="Retain"):
    """Play provisioner and binder on the host; returns the volume."""
    claim = await eventually(lambda: case.host_object(PERSISTENT_VOLUME_CLAIMS, name), seconds=PATIENCE)
    own, spec = claim["metadata"], claim["spec"]
    volume = f"pvc-{uuid.uuid4()}"
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": case.name,
        "name": own["name"],
        "uid": own["uid"],
    }
    await case.host.create(
        PERSISTENT_VOLUMES,
        "",
        volume,
        spec={
            "accessModes": spec["accessModes"],
            "capacity": {"storage": "2Gi"},
            "claimRef": reference,
            "csi": {"driver": "disks.example.com", "volumeHandle": volume[-12:]},
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": spec.get("storageClassName", ""),
        },
    )
    await case.host.patch(PERSISTENT_VOLUMES, "", volume, {"status": {"phase": "Bound"}}, "status")
    bound = {
        "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"volumeName": volume},
    }
    await case.host.patch(PERSISTENT_VOLUME_CLAIMS, case.name, own["name"], bound)
    status = {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": {"storage": "2Gi"}}
    await case.host.patch(PERSISTENT_VOLUME_CLAIMS, case.name, own["name"], {"status": status}, "status")
    return volume


async def claim_is(case, name, phase, **status):
    async def found():
        claim = await case.virtual.get(PERSISTENT_VOLUME_CLAIMS, "default", name)
        return claim if {"phase": phase, **status}.items() <= claim["status"].items() else None

    return await eventually(found, seconds=PATIENCE)


async def volume_is(case, name, **spec):
    async def found():
        volume = await case.virtual.find(PERSISTENT_VOLUMES, "", name)
        return volume if volume and spec.items() <= volume["spec"].items() else None

    return await eventually(found, seconds=PATIENCE)


async def gone(api, resource, namespace, name):
    async def is_gone():
        return await api.find(resource, namespace, name) is None

    await eventually(is_gone, seconds=PATIENCE)


@pytest.mark.parametrize(
    ("on", "policy"), [(WRITING, "Retain"), (READING, "Retain"), (NEITHER, "Retain"), ((), "Delete")]
)
def test_a_claim_is_bound_to_what_the_host_binds_it_to(servers, on, policy):
    async def scenario():
        async with carried(servers, *on) as case:
            await case.virtual.create(PERSISTENT_VOLUME_CLAIMS, "default", "data", spec=SPEC)
            await case.create_pod("web", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
            name = await bind(case, "data", policy="Retain")
            claim = await claim_is(case, "data", "Bound", capacity={"storage": "2Gi"})
            assert claim["spec"]["volumeName"] == name
            volume = await case.virtual.get(PERSISTENT_VOLUMES, "", name)
            assert volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
            assert volume["spec"]["persistentVolumeReclaimPolicy"] == policy
            assert volume["status"]["phase"] == "Bound"
            host = await case.on_host(PERSISTENT_VOLUME_CLAIMS, "data")
            [mounted] = [each for each in (await case.on_host(PODS, "web"))["spec"]["volumes"] if each["name"] == "v"]
            assert mounted["persistentVolumeClaim"]["claimName"] == host["metadata"]["name"]

            await end(case.virtual, PERSISTENT_VOLUME_CLAIMS, "default", "data")
            await unprotected(case, "data")
            await end(case.host, PERSISTENT_VOLUMES, "", name)
            await gone(case.virtual, PERSISTENT_VOLUMES, "", name)
            assert await case.host.list(PERSISTENT_VOLUME_CLAIMS, case.name) == []

    asyncio.run(scenario())


def test_a_claim_grows_where_its_class_allows_it(servers):
    async def scenario():
        async with carried(servers, *WRITING) as case:
            await eventually(lambda: case.virtual.find(STORAGE_CLASSES, "", "fast"), seconds=PATIENCE)
            await case.virtual.create(PERSISTENT_VOLUME_CLAIMS, "default", "data", spec=SPEC)
            name = await bind(case, "data")
            await claim_is(case, "data", "Bound")
            more = {"resources": {"requests": {"storage": "5Gi"}}}
            await case.virtual.patch(PERSISTENT_VOLUME_CLAIMS, "default", "data", {"spec": more})

            async def is_asked():
                host = await case.on_host(PERSISTENT_VOLUME_CLAIMS, "data")
                return host if host["spec"]["resources"]["requests"] == {"storage": "5Gi"} else None

            host = (await eventually(is_asked, seconds=PATIENCE))["metadata"]["name"]
            await case.host.patch(PERSISTENT_VOLUMES, "", name, {"spec": {"capacity": {"storage": "5Gi"}}})
            grown = {"status": {"capacity": {"storage": "5Gi"}}}
            await case.host.patch(PERSISTENT_VOLUME_CLAIMS, case.name, host, grown, "status")
            await claim_is(case, "data", "Bound", capacity={"storage": "5Gi"})
            await volume_is(case, name, capacity={"storage": "5Gi"})

    asyncio.run(scenario())


def test_a_claim_waits_for_its_first_consumer_and_is_told_the_node_by_its_virtual_name(servers):
    async def scenario():
        async with carried(servers, *WRITING) as case:
            await case.virtual.create(PERSISTENT_VOLUME_CLAIMS, "default", "data", spec=SPEC)
            host = (await case.on_host(PERSISTENT_VOLUME_CLAIMS, "data"))["metadata"]["name"]
            chosen = {"metadata": {"annotations": {NODE: f"{case.name}-node-1"}}}
            await case.host.patch(PERSISTENT_VOLUME_CLAIMS, case.name, host, chosen)

            async def is_told(wanted):
                claim = await case.virtual.get(PERSISTENT_VOLUME_CLAIMS, "default", "data")
                return claim["metadata"].get("annotations", {}).get(NODE) == wanted

            await eventually(lambda: is_told("node-1"), seconds=PATIENCE)
            await case.host.patch(
                PERSISTENT_VOLUME_CLAIMS, case.name, host, {"metadata": {"annotations": {NODE: None}}}
            )
            await eventually(lambda: is_told(None), seconds=PATIENCE)
            await bind(case, "data")
            await claim_is(case, "data", "Bound")
            assert NODE not in (await case.on_host(PERSISTENT_VOLUME_CLAIMS, "data"))["metadata"]["annotations"]

    asyncio.run(scenario())


def test_what_becomes_of_the_data_is_decided_in_the_virtual_cluster(servers):
    async def scenario():
        async with carried(servers, *WRITING) as case:
            await case.virtual.create(PERSISTENT_VOLUME_CLAIMS, "default", "data", spec=SPEC)
            name = await bind(case, "data", policy="Delete")
            await claim_is(case, "data", "Bound")
            await case.virtual.patch(
                PERSISTENT_VOLUMES, "", name, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
            )

            async def is_retained():
                volume = await case.host.get(PERSISTENT_VOLUMES, "", name)
                return volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"

            await eventually(is_retained, seconds=PATIENCE)
            await end(case.virtual, PERSISTENT_VOLUME_CLAIMS, "default", "data")
            await unprotected(case, "data")
            await case.host.patch(PERSISTENT_VOLUMES, "", name, {"status": {"phase": "Released"}}, "status")

            async def is_released():
                return (await case.virtual.get(PERSISTENT_VOLUMES, "", name))["status"]["phase"] == "Released"

            await eventually(is_released, seconds=PATIENCE)
            await end(case.virtual, PERSISTENT_VOLUMES, "", name)

            async def is_given_up():
                found = await case.host.find(PERSISTENT_VOLUMES, "", name)
                return found is None or found["metadata"].get("deletionTimestamp")

            await eventually(is_given_up, seconds=PATIENCE)
            assert await case.virtual.find(PERSISTENT_VOLUMES, "", name) is None

    asyncio.run(scenario())


def test_a_host_claim_that_somebody_deletes_is_made_again_and_the_user_is_told(servers):
    async def scenario():
        async with carried(servers, *WRITING) as case:
            made = await case.virtual.create(PERSISTENT_VOLUME_CLAIMS, "default", "data", spec=SPEC)
            name = await bind(case, "data")
            await claim_is(case, "data", "Bound")
            before = (await case.on_host(PERSISTENT_VOLUME_CLAIMS, "data"))["metadata"]
            await end(case.host, PERSISTENT_VOLUME_CLAIMS, case.name, before["name"])
            await end(case.host, PERSISTENT_VOLUMES, "", name)

            async def is_another():
                found = await case.host_object(PERSISTENT_VOLUME_CLAIMS, "data")
                return found and found["metadata"]["uid"] != before["uid"]

            async def is_told():
                events = await case.virtual.list(EVENTS, "default")
                return [event for event in events if event["reason"] == "VolumeRemade"]

            await eventually(is_another, seconds=PATIENCE)
            [event] = await eventually(is_told, seconds=PATIENCE)
            assert event["involvedObject"]["uid"] == made["metadata"]["uid"]
            fresh = await bind(case, "data")
            handle = (await case.host.get(PERSISTENT_VOLUMES, "", fresh))["spec"]["csi"]
            await volume_is(case, name, csi=handle)
            claim = await claim_is(case, "data", "Bound")
            assert claim["metadata"]["uid"] == made["metadata"]["uid"]
            assert await case.virtual.find(PERSISTENT_VOLUMES, "", fresh) is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("switch", "resource", "fields"),
    [
        ("storage_classes", STORAGE_CLASSES, CLASS),
        (
            "volume_attributes_classes",
            VOLUME_ATTRIBUTES_CLASSES,
            {"driverName": "example.com", "parameters": {"iops": "1"}},
        ),
        ("csi_drivers", CSI_DRIVERS, {"spec": {"attachRequired": False}}),
    ],
)
def test_what_serves_claims_is_shown(servers, switch, resource, fields):
    async def scenario():
        async with carried(servers, f"from_host.{switch}") as case:
            await case.host.create(resource, "", "slow.example.com", metadata={"labels": {"a": "b"}}, **fields)

            async def is_shown():
                found = await case.virtual.find(resource, "", "slow.example.com")
                return found if found and found["metadata"].get("labels") == {"a": "b"} else None

            found = await eventually(is_shown, seconds=PATIENCE)
            assert all(found[name] == value for name, value in fields.items() if name != "spec")
            await case.virtual.patch(resource, "", "slow.example.com", {"metadata": {"labels": {"a": "mine"}}})
            await eventually(is_shown, seconds=PATIENCE)
            await end(case.virtual, resource, "", "slow.example.com")
            await eventually(is_shown, seconds=PATIENCE)
            await end(case.host, resource, "", "slow.example.com")

            async def is_gone():
                found = await case.virtual.find(resource, "", "slow.example.com")
                # The virtual cluster's own protection would let go of it now.
                return found is None or found["metadata"].get("deletionTimestamp")

            await eventually(is_gone, seconds=PATIENCE)

    asyncio.run(scenario())


def test_a_scheduler_of_the_virtual_cluster_finds_drivers_and_room(servers):
    async def scenario():
        async with Api.open(servers.host) as host:
            drivers = f"csi-{uuid.uuid4().hex[:6]}"
            await host.create(NAMESPACES, "", drivers)
            shown = {"csistoragecapacities": {f"{drivers}/*": "default/*"}}
            on = ("from_host.csi_nodes", "from_host.csi_storage_capacities")
            async with carried(servers, *on, from_host=shown) as case:
                node = f"{case.name}-node-1"
                driver = {"name": "disks.example.com", "nodeID": node, "topologyKeys": ["zone"]}
                await host.create(CSI_NODES, "", node, spec={"drivers": [driver]})
                found = await eventually(lambda: case.virtual.find(CSI_NODES, "", "node-1"), seconds=PATIENCE)
                assert found["spec"]["drivers"] == [{**driver, "nodeID": "node-1"}]
                room = {"storageClassName": "fast", "capacity": "1Gi", "nodeTopology": {"matchLabels": {"zone": "a"}}}
                await host.create(CSI_STORAGE_CAPACITIES, drivers, "room", **room)
                await eventually(lambda: case.virtual.find(CSI_STORAGE_CAPACITIES, "default", "room"), seconds=PATIENCE)
                await host.patch(CSI_STORAGE_CAPACITIES, drivers, "room", {"capacity": "2Gi"})

                async def is_less():
                    return (await case.virtual.get(CSI_STORAGE_CAPACITIES, "default", "room"))["capacity"] == "2Gi"

                await eventually(is_less, seconds=PATIENCE)
                await host.delete(CSI_NODES, "", node)
                await gone(case.virtual, CSI_NODES, "", "node-1")
                await host.delete(CSI_STORAGE_CAPACITIES, drivers, "room")
                await gone(case.virtual, CSI_STORAGE_CAPACITIES, "default", "room")

    asyncio.run(scenario())


def test_a_class_that_the_host_makes_anew_is_made_anew(servers):
    async def scenario():
        async with carried(servers, *NEITHER) as case:
            await eventually(lambda: case.virtual.find(STORAGE_CLASSES, "", "fast"), seconds=PATIENCE)
            await case.host.delete(STORAGE_CLASSES, "", "fast")
            await case.host.create(STORAGE_CLASSES, "", "fast", provisioner="example.com/other")

            async def is_new():
                found = await case.virtual.find(STORAGE_CLASSES, "", "fast")
                return found and found["provisioner"] == "example.com/other"

            await eventually(is_new, seconds=PATIENCE)

    asyncio.run(scenario())


def test_claims_outlive_the_syncer(servers):
    async def scenario():
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:
            async with carried(servers, *WRITING) as case:
                await case.virtual.create(PERSISTENT_VOLUME_CLAIMS, "default", "data", spec=SPEC)
                name = await bind(case, "data", policy="Delete")
                await claim_is(case, "data", "Bound")
            # Meanwhile nobody looks: the claim goes, and on the host its volume.
            async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
                case = Case(case.name, host, virtual, case.server)
                await end(virtual, PERSISTENT_VOLUME_CLAIMS, "default", "data")
                await end(host, PERSISTENT_VOLUMES, "", name)
                assert await virtual.find(PERSISTENT_VOLUMES, "", name)
                async with syncer(Path(directory), servers.host, on=WRITING) as admin:
                    await case.carried_by(admin)
                    await unprotected(case, "data")
                    await gone(virtual, PERSISTENT_VOLUMES, "", name)

    asyncio.run(scenario())

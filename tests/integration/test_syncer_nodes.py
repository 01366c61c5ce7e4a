"""Nodes between real API servers: what users set on them means what it says."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from syncer_case import Case, syncer
from two_api_servers import Api, eventually, started
from vcluster_syncer.model import NODES

PATIENCE = 60
MINE = {"key": "mine", "value": "1", "effect": "NoSchedule"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@contextlib.asynccontextmanager
async def carried(servers, **changes):
    """One tenant, carried, and the name of its node on the host."""
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            case = await Case.prepare(host, virtual, servers.first)
            async with syncer(Path(directory), servers.host) as admin:
                await case.carried_by(admin, **changes)
                yield case, f"{case.name}-node-1"


async def set_all(api, name):
    """Label, taint and cordon a node, as kubectl does: one after the other."""
    await api.patch(NODES, "", name, {"metadata": {"labels": {"mine": "1"}}})
    taints = [one for one in (await api.get(NODES, "", name))["spec"].get("taints", ()) if one["key"] != "mine"]
    await api.patch(NODES, "", name, {"spec": {"taints": [*taints, MINE]}})
    await api.patch(NODES, "", name, {"spec": {"unschedulable": True}})


def has_all(node):
    taints = [one["key"] for one in node["spec"].get("taints") or ()]
    return "mine" in node["metadata"].get("labels", {}) and "mine" in taints and bool(node["spec"].get("unschedulable"))


def has_none(node):
    taints = [one["key"] for one in node["spec"].get("taints") or ()]
    return (
        "mine" not in node["metadata"].get("labels", {})
        and "mine" not in taints
        and not node["spec"].get("unschedulable")
    )


async def until(check, api, name):
    async def holds():
        return check(await api.get(NODES, "", name))

    await eventually(holds, seconds=PATIENCE)


def test_labels_taints_and_cordons_reach_a_node_of_ones_own_and_leave_it(servers):
    async def scenario():
        async with carried(servers) as (case, there):
            await until(has_none, case.virtual, "node-1")
            await set_all(case.virtual, "node-1")
            await until(has_all, case.host, there)
            await until(has_all, case.virtual, "node-1")
            await case.virtual.patch(NODES, "", "node-1", {"metadata": {"labels": {"mine": None}}})
            await case.virtual.patch(NODES, "", "node-1", {"spec": {"taints": None, "unschedulable": None}})
            await until(has_none, case.host, there)
            await until(has_none, case.virtual, "node-1")

    asyncio.run(scenario())


def test_what_the_host_sets_is_seen_and_goes(servers):
    async def scenario():
        async with carried(servers) as (case, there):
            await set_all(case.host, there)
            await until(has_all, case.virtual, "node-1")
            await case.host.patch(NODES, "", there, {"metadata": {"labels": {"mine": None}}})
            await case.host.patch(NODES, "", there, {"spec": {"taints": None, "unschedulable": None}})
            await until(has_none, case.virtual, "node-1")

    asyncio.run(scenario())


def test_on_a_shared_node_they_stay_in_the_virtual_cluster(servers):
    async def scenario():
        async with carried(servers, nodes={"mode": "shared"}) as (case, there):
            await eventually(lambda: case.virtual.find(NODES, "", there), seconds=PATIENCE)
            await set_all(case.virtual, there)
            # What the host says meanwhile arrives, so the syncer has looked at the node.
            await case.host.patch(NODES, "", there, {"metadata": {"labels": {"from-host": "1"}}})

            def arrived(node):
                return "from-host" in node["metadata"].get("labels", {})

            await until(arrived, case.virtual, there)
            await until(has_all, case.virtual, there)
            assert has_none(await case.host.get(NODES, "", there))

    asyncio.run(scenario())

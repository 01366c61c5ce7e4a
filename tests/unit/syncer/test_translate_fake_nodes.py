"""Nodes that are made up for those that pods are on."""

from __future__ import annotations

from typing import Any

import pytest
from syncer_worlds import Worlds, host_pod, pod, run_on_host, tenant
from vcluster_syncer.fields import ConfigError
from vcluster_syncer.model import NODES, PODS, CreateVirtual, DeleteVirtual, FakeNode, Key
from vcluster_syncer.switches import host_rules, refuse_unfit, selected
from vcluster_syncer.translate import KINDS, node_names

FAKE = FakeNode(kubelet_version="v1.36.4", architecture="arm64")
OFF = {"from_host.nodes": False}
WORKER, WEB = Key("", "worker"), Key("default", "web")
OF_DAEMON_SET = {"ownerReferences": [{"kind": "DaemonSet", "name": "agent", "uid": "d", "controller": True}]}


def fakes(**changes: Any) -> Worlds:
    return Worlds(tenant(private_nodes=False, fake_node=FAKE, **changes), off=OFF)


def placed(worlds: Worlds, name: str = "web", node: str = "worker", **fields: Any) -> None:
    """A pod that the host has scheduled."""
    pod(worlds, name, **fields)
    host_pod(worlds, name)["spec"]["nodeName"] = node


def settled(worlds: Worlds) -> dict[str, Any] | None:
    """The node, once everything is in order."""
    worlds.settle(NODES, WORKER)
    return worlds.here.get((NODES, WORKER))


def test_there_is_none_before_the_first_pod_is_on_one() -> None:
    worlds = fakes()
    pod(worlds)
    host_pod(worlds)
    assert worlds.settle(NODES, WORKER) == ()
    assert list(worlds.virtual_list(NODES)) == []


def test_a_pod_is_bound_to_the_node_that_is_made_up_for_it() -> None:
    worlds = fakes()
    placed(worlds)
    assert not worlds.settle(PODS, WEB)
    assert "nodeName" not in worlds.here[PODS, WEB]["spec"]
    settled(worlds)
    run_on_host(worlds, "worker")
    worlds.settle(PODS, WEB)
    assert worlds.here[PODS, WEB]["spec"]["nodeName"] == "worker"
    assert worlds.here[PODS, WEB]["status"]["phase"] == "Running"


def test_it_passes_for_a_node() -> None:
    worlds = fakes(kubelet_address="127.64.0.1", kubelet_port=4711)
    placed(worlds)
    node = settled(worlds)
    assert node is not None
    assert node["metadata"]["labels"] == {
        "kubernetes.io/arch": "arm64",
        "kubernetes.io/hostname": "worker",
        "kubernetes.io/os": "linux",
    }
    assert node["spec"] == {}
    status = node["status"]
    assert {one["type"]: one["status"] for one in status["conditions"]} == {
        "MemoryPressure": "False",
        "DiskPressure": "False",
        "PIDPressure": "False",
        "Ready": "True",
    }
    assert status["conditions"][0]["lastHeartbeatTime"] == "1970-01-12T13:46:40Z"
    assert status["capacity"] == status["allocatable"]
    assert status["nodeInfo"]["kubeletVersion"] == "v1.36.4"
    assert status["addresses"] == [
        {"type": "Hostname", "address": "worker"},
        {"type": "Kubelet", "address": "127.64.0.1"},
    ]
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 4711}}


def test_its_address_is_told_by_the_pods_on_it_and_stays() -> None:
    worlds = fakes()
    placed(worlds)
    settled(worlds)
    host_pod(worlds)["status"] = {"phase": "Running", "hostIP": "10.2.0.1"}
    node = settled(worlds)
    assert node is not None
    known = [{"type": "InternalIP", "address": "10.2.0.1"}, {"type": "Hostname", "address": "worker"}]
    assert node["status"]["addresses"] == known
    placed(worlds, "other")
    del worlds.here[PODS, WEB]
    assert settled(worlds) is node
    assert node["status"]["addresses"] == known


def test_it_goes_with_the_last_pod() -> None:
    worlds = fakes()
    for name in ("web", "other"):
        placed(worlds, name)
    assert settled(worlds) is not None
    del worlds.here[PODS, WEB]
    assert settled(worlds) is not None
    host_pod(worlds, "other")["spec"]["nodeName"] = "elsewhere"
    assert settled(worlds) is None


def test_pods_of_daemon_sets_do_not_hold_it() -> None:
    worlds = fakes()
    placed(worlds, "agent-x", metadata=OF_DAEMON_SET)
    assert settled(worlds) is None
    placed(worlds)
    assert settled(worlds) is not None
    del worlds.here[PODS, WEB]
    assert settled(worlds) is None


def test_what_a_user_sets_on_it_stays() -> None:
    worlds = fakes()
    placed(worlds)
    node = settled(worlds)
    assert node is not None
    node["metadata"]["labels"]["disk"] = "ssd"
    node["spec"]["taints"] = [{"key": "a", "effect": "NoSchedule"}]
    node["status"]["conditions"][3]["status"] = "False"
    assert worlds.look(NODES, WORKER) == ()


@pytest.mark.parametrize("annotations", [{}, {node_names.FAKE: "another"}])
def test_a_node_that_somebody_made_is_his(annotations: dict[str, str]) -> None:
    worlds = fakes()
    worlds.put(NODES, "", "worker", metadata={"annotations": annotations}, spec={}, status={})
    assert worlds.look(NODES, WORKER) == ()
    assert node_names.to_host("worker", worlds) is None
    placed(worlds)
    assert worlds.look(NODES, WORKER) == ()


def test_a_node_that_is_being_deleted_is_waited_for() -> None:
    worlds = fakes()
    placed(worlds)
    node = settled(worlds)
    assert node is not None
    node["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert worlds.look(NODES, WORKER) == ()


def test_a_pod_that_names_a_made_up_node_goes_there_and_one_that_names_no_node_waits() -> None:
    worlds = fakes()
    placed(worlds)
    settled(worlds)
    for name, node in (("there", "worker"), ("nowhere", "none")):
        pod(worlds, name, nodeName=node)
        worlds.settle(PODS, Key("default", name))
    found = worlds.host(PODS, Key("default", "there"))
    assert found is not None
    assert found["spec"]["nodeName"] == "worker"
    assert worlds.host(PODS, Key("default", "nowhere")) is None


def test_a_pod_wakes_its_node_and_a_node_the_pods_that_wait_for_it() -> None:
    worlds = fakes()
    placed(worlds)
    pods, nodes = worlds.kinds[PODS], worlds.kinds[NODES]
    assert list(pods.wakes(host_pod(worlds), worlds)) == [(NODES, WORKER)]
    assert list(pods.wakes(worlds.here[PODS, WEB], worlds)) == []
    node = settled(worlds)
    assert node is not None
    assert list(nodes.wakes(node, worlds)) == [(PODS, WEB)]
    others = Worlds(tenant(private_nodes=False))
    placed(others)
    assert list(others.kinds[PODS].wakes(host_pod(others), others)) == []


def test_one_step_makes_it_and_one_takes_it_away() -> None:
    worlds = fakes()
    placed(worlds)
    (made,) = worlds.look(NODES, WORKER)
    assert isinstance(made, CreateVirtual)
    worlds.do(made)
    del worlds.here[PODS, WEB]
    (gone,) = worlds.look(NODES, WORKER)
    assert isinstance(gone, DeleteVirtual)


def test_no_right_is_needed_that_is_not_in_a_namespace() -> None:
    rules = host_rules(selected(KINDS, OFF))
    assert not any(rule.cluster_scoped or "nodes" in rule.resources for rule in rules)
    assert not any(kind.resource == NODES and kind.watch_host for kind in selected(KINDS, OFF))


@pytest.mark.parametrize(("of", "switch"), [(tenant(), False), (tenant(fake_node=FAKE), True)])
def test_who_asks_for_one_sort_of_nodes_is_refused_where_there_is_the_other(of: Any, switch: bool) -> None:
    with pytest.raises(ConfigError, match="turn sync.from_host.nodes " + ("off" if switch else "on")):
        refuse_unfit(of, selected(KINDS, {"from_host.nodes": switch}))

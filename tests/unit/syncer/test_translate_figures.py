"""What the host measures, told of virtual pods and nodes: whose it is, under which names, with which labels."""

from __future__ import annotations

import json
from typing import Any

import pytest
from syncer_worlds import Worlds, host_pod, pod, run_on_host, tenant
from vcluster_syncer.model import NODE_METRICS, NODES, POD_METRICS, PODS, FakeNode, Key, Rule
from vcluster_syncer.naming import host_namespace_of
from vcluster_syncer.translate import figures, node_names

WEB = Key("default", "web")
USED = {"cpu": "120m", "memory": "10Mi"}
WHEN = {"timestamp": "2026-11-21T10:00:00Z", "window": "15s"}


def of(host: Any, *containers: str) -> dict[str, Any]:
    """Figures as metrics-server has them, with a host pod's own metadata."""
    return {
        "kind": "PodMetrics",
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {**host["metadata"], "creationTimestamp": "2026-11-21T10:00:01Z"},
        **WHEN,
        "containers": [{"name": name, "usage": USED} for name in containers or ("main",)],
    }


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


def test_a_pod_is_told_under_its_own_name_with_its_own_labels(worlds: Worlds) -> None:
    pod(worlds, metadata={"labels": {"app": "web"}})
    assert figures.of_pod(of(host_pod(worlds)), worlds) == {
        "kind": "PodMetrics",
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {
            "name": "web",
            "namespace": "default",
            "creationTimestamp": "2026-11-21T10:00:01Z",
            "labels": {"app": "web"},
        },
        **WHEN,
        "containers": [{"name": "main", "usage": USED}],
    }


def test_nothing_of_the_host_comes_along(worlds: Worlds) -> None:
    pod(worlds)
    host = host_pod(worlds)
    told = json.dumps(figures.of_pod({**of(host), "new": host["metadata"]["name"]}, worlds))
    for theirs in (host["metadata"]["name"], worlds.tenant.host_namespace, "vcluster-syncer/", host["metadata"]["uid"]):
        assert theirs not in told


def test_containers_are_those_of_the_virtual_pod(worlds: Worlds) -> None:
    side = {"name": "side", "image": "i", "restartPolicy": "Always"}
    pod(worlds, initContainers=[side], ephemeralContainers=[{"name": "debug", "image": "i"}])
    told = figures.of_pod(of(host_pod(worlds), "main", "side", "debug", "added-by-the-host"), worlds)
    assert told is not None
    assert [one["name"] for one in told["containers"]] == ["main", "side", "debug"]


def test_whoever_is_measured_must_be_the_tenants(worlds: Worlds) -> None:
    pod(worlds)
    host = host_pod(worlds)
    figure = of(host)
    assert figures.of_pod(figure, worlds) is not None
    # Of another namespace, under the name of one of ours.
    elsewhere = {**figure, "metadata": {**figure["metadata"], "namespace": "other"}}
    assert figures.of_pod(elsewhere, worlds) is None
    # What the figures themselves say of whose they are does not count.
    stranger = {**figure, "metadata": {**figure["metadata"], "name": "stranger"}}
    assert figures.of_pod(stranger, worlds) is None
    # Somebody's own pod, in the tenant's namespace.
    worlds.put_host(PODS, "stranger", spec={})
    assert figures.of_pod(stranger, worlds) is None


def test_a_namesake_is_another_pod(worlds: Worlds) -> None:
    pod(worlds)
    before = host_pod(worlds)
    pod(worlds)
    assert figures.of_pod(of(before), worlds) is None
    assert figures.host_pod(WEB, worlds) is None


def test_one_that_is_gone_from_the_virtual_cluster_is_not_told(worlds: Worlds) -> None:
    pod(worlds)
    host = host_pod(worlds)
    del worlds.here[PODS, WEB]
    assert figures.of_pod(of(host), worlds) is None
    assert figures.host_pod(WEB, worlds) is None


def test_a_pod_that_is_not_on_the_host_can_not_be_asked_about(worlds: Worlds) -> None:
    pod(worlds)
    assert figures.host_pod(WEB, worlds) is None
    found = host_pod(worlds)
    assert figures.host_pod(WEB, worlds) == found


def node_figures(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"of-the": "host"}}, **WHEN, "usage": USED}


def test_a_private_node_is_told_under_its_virtual_name(worlds: Worlds) -> None:
    there = worlds.node(metadata={"labels": {"zone": "a"}})
    told = figures.of_node(node_figures(there), worlds)
    assert told is not None
    assert told["metadata"] == {"name": "node-1", "labels": {"kubernetes.io/hostname": "node-1", "zone": "a"}}
    assert told["usage"] == USED
    assert figures.host_node(Key("", "node-1"), worlds) == there
    assert figures.host_node(Key("", there), worlds) is None


def test_nodes_of_others_are_not(worlds: Worlds) -> None:
    worlds.node()
    worlds.put_host(NODES, "theirs", metadata={"labels": {"vcluster-syncer/tenant": "vc-b2"}}, spec={})
    for name in ("theirs", "nobody-knows", "node-1"):
        assert figures.of_node(node_figures(name), worlds) is None


def test_shared_nodes_have_one_name() -> None:
    worlds = Worlds(tenant(private_nodes=False))
    worlds.node("worker")
    told = figures.of_node(node_figures("worker"), worlds)
    assert told is not None
    assert told["metadata"]["name"] == "worker"
    # It is on the host, and not in the virtual cluster yet.
    worlds.put_host(NODES, "second", spec={})
    assert figures.of_node(node_figures("second"), worlds) is None


def test_of_nodes_that_are_made_up_those_that_are_in_use() -> None:
    worlds = Worlds(tenant(private_nodes=False, fake_node=FakeNode()), off=["from_host.nodes"])
    worlds.put(NODES, "", "used", metadata={"annotations": {node_names.FAKE: "used"}})
    worlds.put(NODES, "", "made-by-a-user")
    assert figures.of_node(node_figures("used"), worlds) is not None
    assert figures.of_node(node_figures("unused"), worlds) is None
    # Whoever may make nodes could ask for any node of the host otherwise.
    assert figures.of_node(node_figures("made-by-a-user"), worlds) is None
    assert figures.host_node(Key("", "made-by-a-user"), worlds) is None


def test_the_host_is_asked_for_no_more_than_it_takes(worlds: Worlds) -> None:
    mine = {"vcluster-syncer/tenant": "vc-a1"}
    assert figures.host_place(POD_METRICS, "", worlds) == ("vc-a1-ns", mine)
    of_one = {**mine, "vcluster-syncer/namespace": "team"}
    assert figures.host_place(POD_METRICS, "team", worlds) == ("vc-a1-ns", of_one)
    assert figures.host_place(NODE_METRICS, "", worlds) == ("", mine)
    assert figures.host_place(NODE_METRICS, "", Worlds(tenant(private_nodes=False))) == ("", {})


def test_where_each_namespace_has_its_own_it_is_asked_for_that() -> None:
    worlds = Worlds(tenant(each_namespace=True), on=["to_host.namespaces"])
    assert figures.host_place(POD_METRICS, "", worlds)[0] == ""
    assert figures.host_place(POD_METRICS, "team", worlds)[0] == host_namespace_of(worlds.tenant, "team")


def test_rights_are_those_of_what_is_told() -> None:
    verbs = ("get", "list")
    assert figures.host_rules((POD_METRICS,)) == (Rule("metrics.k8s.io", ("pods",), verbs),)
    assert figures.host_rules((NODE_METRICS,)) == (Rule("metrics.k8s.io", ("nodes",), verbs, cluster_scoped=True),)
    assert figures.host_rules(()) == ()


def test_it_does_not_matter_whether_a_pod_runs(worlds: Worlds) -> None:
    """Whether there are figures is the host's business."""
    node = worlds.node()
    pod(worlds)
    run_on_host(worlds, node)
    assert figures.of_pod(of(host_pod(worlds)), worlds) is not None

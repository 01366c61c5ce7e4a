import json
from typing import Any

import pytest
from syncer_worlds import Worlds, merge, tenant
from vcluster_syncer.model import NODES, DeleteVirtual, Key
from vcluster_syncer.translate import node_names, nodes

ONE = Key("", "node-1")
TAINT = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


def mirrored(worlds: Worlds, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The virtual node and its host node."""
    name = worlds.node("node-1", **fields)
    return worlds.here[NODES, ONE], worlds.there[NODES, name]


def test_is_born_with_everything_the_host_says(worlds: Worlds) -> None:
    status = {
        "capacity": {"cpu": "32"},
        "allocatable": {"cpu": "31"},
        "nodeInfo": {"kubeletVersion": "v1.36.4"},
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "Hostname", "address": "node-1"}],
    }
    virtual, _ = mirrored(worlds, status=status, spec={"taints": [TAINT]}, metadata={"labels": {"zone": "a"}})
    assert virtual["status"] == status
    assert virtual["spec"]["taints"] == [TAINT]
    assert virtual["metadata"]["labels"] == {"kubernetes.io/hostname": "node-1", "zone": "a"}


def test_no_host_name_is_shown(worlds: Worlds) -> None:
    virtual, host = mirrored(
        worlds,
        metadata={"annotations": {"csi.volume.kubernetes.io/nodeid": '{"hostpath":"vc-a1-node-1"}'}},
        status={
            "addresses": [{"type": "Hostname", "address": "vc-a1-node-1"}],
            "conditions": [{"type": "Ready", "status": "False", "message": "kubelet of vc-a1-node-1 is silent"}],
        },
    )
    assert host["metadata"]["name"] not in json.dumps(virtual)


def test_a_neighbours_node_is_not_seen(worlds: Worlds) -> None:
    host = {"metadata": {"name": "vc-b2-node-1", "labels": {"vcluster-syncer/tenant": "vc-b2"}}}
    assert node_names.key_of(host, worlds.tenant) is None
    assert node_names.key_of({"metadata": {"name": "control-plane"}}, worlds.tenant) is None


def test_shared_nodes_are_everybodys_under_their_own_name() -> None:
    assert node_names.key_of({"metadata": {"name": "worker"}}, tenant(private_nodes=False)) == Key("", "worker")


def test_status_follows(worlds: Worlds) -> None:
    virtual, host = mirrored(worlds)
    host["status"] = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
    worlds.settle(NODES, ONE)
    assert virtual["status"]["conditions"] == host["status"]["conditions"]


def test_what_a_user_adds_stays(worlds: Worlds) -> None:
    virtual, host = mirrored(worlds, spec={"taints": [TAINT]})
    mine = {"key": "mine", "effect": "NoExecute"}
    virtual["spec"]["taints"].append(mine)
    virtual["metadata"]["labels"]["mine"] = "1"
    virtual["metadata"]["annotations"]["mine"] = "1"
    virtual["spec"]["unschedulable"] = True
    assert list(worlds.look(NODES, ONE)) == []
    host["metadata"]["labels"]["new"] = "1"
    host["spec"]["taints"] = []
    worlds.settle(NODES, ONE)
    assert virtual["spec"] == {"taints": [mine], "unschedulable": True}
    assert {"mine", "new"} <= set(virtual["metadata"]["labels"])


def test_what_the_host_takes_back_goes(worlds: Worlds) -> None:
    virtual, host = mirrored(
        worlds, metadata={"labels": {"zone": "a"}}, spec={"taints": [TAINT], "unschedulable": True}
    )
    del host["metadata"]["labels"]["zone"]
    host["spec"] = {}
    worlds.settle(NODES, ONE)
    assert "zone" not in virtual["metadata"]["labels"]
    assert not virtual["spec"].get("taints")
    assert not virtual["spec"].get("unschedulable")


def test_what_the_host_says_wins_over_an_edit(worlds: Worlds) -> None:
    virtual, _ = mirrored(worlds, metadata={"labels": {"zone": "a"}})
    virtual["metadata"]["labels"]["zone"] = "b"
    worlds.settle(NODES, ONE)
    assert virtual["metadata"]["labels"]["zone"] == "a"


def test_the_taint_that_admission_puts_on_a_new_node_is_taken_off(worlds: Worlds) -> None:
    virtual, _ = mirrored(worlds)
    virtual["spec"]["taints"] = [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    worlds.settle(NODES, ONE)
    assert not virtual["spec"].get("taints")


def test_a_node_the_user_deletes_comes_back(worlds: Worlds) -> None:
    mirrored(worlds)
    del worlds.here[NODES, ONE]
    worlds.settle(NODES, ONE)
    assert (NODES, ONE) in worlds.here


def test_a_node_that_vanished_on_the_host_vanishes(worlds: Worlds) -> None:
    virtual, host = mirrored(worlds)
    del worlds.there[NODES, host["metadata"]["name"]]
    assert list(worlds.look(NODES, ONE)) == [DeleteVirtual(NODES, ONE, virtual["metadata"]["uid"])]


def test_a_node_the_user_invented_is_his(worlds: Worlds) -> None:
    worlds.put(NODES, "", "fake", spec={})
    assert list(worlds.look(NODES, Key("", "fake"))) == []


def test_a_broken_record_of_what_was_mirrored_is_written_anew(worlds: Worlds) -> None:
    virtual, _ = mirrored(worlds)
    wanted = virtual["metadata"]["annotations"][nodes.MIRRORED]
    for broken in ("{", "[]"):
        virtual["metadata"]["annotations"][nodes.MIRRORED] = broken
        worlds.settle(NODES, ONE)
        assert virtual["metadata"]["annotations"][nodes.MIRRORED] == wanted


def test_images_of_the_host_are_not_copied(worlds: Worlds) -> None:
    virtual, host = mirrored(worlds)
    host["status"] = merge(host["status"], {"images": [{"names": ["big"]}], "phase": "Running"})
    worlds.settle(NODES, ONE)
    assert virtual["status"] == {"phase": "Running"}

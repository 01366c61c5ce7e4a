import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syncer_worlds import Worlds, merge, tenant
from vcluster_syncer.model import NODES, DeleteVirtual, Key, PatchHost
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


MINE = {"key": "mine", "effect": "NoExecute"}


def set_all(node: dict[str, Any], **labels: str) -> None:
    """Add a label, a taint and a cordon."""
    node["metadata"]["labels"].update(labels or {"mine": "1"})
    node["spec"]["taints"] = [*(one for one in node["spec"].get("taints", []) if one != MINE), MINE]
    node["spec"]["unschedulable"] = True


def test_a_heartbeat_alone_disturbs_nobody(worlds: Worlds) -> None:
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-11-21T10:00:00Z"}
    _, host = mirrored(worlds, status={"conditions": [ready]})
    host["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-11-21T10:05:00Z"
    assert list(worlds.look(NODES, ONE)) == []
    host["status"]["conditions"][0]["status"] = "False"
    worlds.settle(NODES, ONE)
    assert worlds.here[NODES, ONE]["status"]["conditions"] == [
        {"type": "Ready", "status": "False", "lastHeartbeatTime": "2026-11-21T10:05:00Z"}
    ]


def test_what_a_user_adds_to_a_shared_node_stays_his_own() -> None:
    worlds = Worlds(tenant(private_nodes=False))
    virtual, host = mirrored(worlds, spec={"taints": [TAINT]})
    set_all(virtual)
    virtual["metadata"]["annotations"]["mine"] = "1"
    before = copy.deepcopy(host)
    assert list(worlds.look(NODES, ONE)) == []
    assert host == before
    host["metadata"]["labels"]["new"] = "1"
    host["spec"]["taints"] = []
    worlds.settle(NODES, ONE)
    assert virtual["spec"] == {"taints": [MINE], "unschedulable": True}
    assert {"mine", "new"} <= set(virtual["metadata"]["labels"])


def test_what_a_user_sets_on_a_node_of_his_own_holds_on_the_host(worlds: Worlds) -> None:
    virtual, host = mirrored(worlds, metadata={"labels": {"zone": "a"}}, spec={"taints": [TAINT]})
    set_all(virtual, mine="1", zone="b")
    worlds.settle(NODES, ONE)
    assert host["spec"] == virtual["spec"] == {"taints": [TAINT, MINE], "unschedulable": True}
    assert (host["metadata"]["labels"]["mine"], host["metadata"]["labels"]["zone"]) == ("1", "b")
    del virtual["metadata"]["labels"]["mine"]
    virtual["spec"] = {}
    worlds.settle(NODES, ONE)
    assert not any(host["spec"].values())
    assert "mine" not in host["metadata"]["labels"]


def test_a_virtual_cluster_that_is_put_back_takes_the_host_with_it(worlds: Worlds) -> None:
    virtual, host = mirrored(worlds, metadata={"labels": {"zone": "a", "rack": "1"}}, spec={"taints": [TAINT]})
    fresh, fresh_host = copy.deepcopy(virtual), copy.deepcopy(host)
    for name in ("first", "second"):
        set_all(virtual, zone="b", **{name: "1"})
        del virtual["metadata"]["labels"]["rack"]
        worlds.settle(NODES, ONE)
        virtual.clear()
        virtual.update(copy.deepcopy(fresh))
        actions = worlds.look(NODES, ONE)
        assert [type(action) for action in actions] == [PatchHost], "the cluster stays as it was put back"
        worlds.settle(NODES, ONE)
        assert host["metadata"]["labels"] == fresh_host["metadata"]["labels"]
        assert {**fresh_host["spec"]} == {name: value for name, value in host["spec"].items() if value}
    assert not any(json.loads(host["metadata"]["annotations"][nodes.TOLD]).values())


def test_a_virtual_cluster_that_is_put_back_to_before_it_had_the_node_takes_the_host_with_it(worlds: Worlds) -> None:
    virtual, host = mirrored(worlds, metadata={"labels": {"zone": "a", "rack": "1"}}, spec={"taints": [TAINT]})
    fresh, fresh_host = copy.deepcopy(virtual), copy.deepcopy(host)
    for name in ("first", "second"):
        virtual = worlds.here[NODES, ONE]
        set_all(virtual, zone="b", **{name: "1"})
        del virtual["metadata"]["labels"]["rack"]
        worlds.settle(NODES, ONE)
        set_all(virtual, zone="c")
        worlds.settle(NODES, ONE)
        # Of a cordon the host's own controllers make a taint.
        host["spec"]["taints"].append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
        worlds.settle(NODES, ONE)
        del worlds.here[NODES, ONE]
        worlds.settle(NODES, ONE)
        assert host["metadata"]["labels"] == fresh_host["metadata"]["labels"]
        assert worlds.here[NODES, ONE]["spec"] == fresh["spec"]
        assert worlds.here[NODES, ONE]["metadata"]["labels"] == fresh["metadata"]["labels"]
        assert not host["spec"].get("unschedulable")
        host["spec"]["taints"] = [TAINT]


def test_whose_node_it_is_can_not_be_changed_from_within() -> None:
    worlds = Worlds(tenant(node_label="pool", node_label_value="vc-a1"))
    virtual, host = mirrored(worlds)
    virtual["metadata"]["labels"]["pool"] = "vc-b2"
    worlds.settle(NODES, ONE)
    assert host["metadata"]["labels"]["pool"] == virtual["metadata"]["labels"]["pool"] == "vc-a1"


def test_the_taint_of_a_cordon_goes_with_the_cordon(worlds: Worlds) -> None:
    cordoned = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    virtual, host = mirrored(worlds, spec={"unschedulable": True, "taints": [cordoned]})
    assert virtual["spec"]["taints"] == [cordoned]
    host["spec"]["unschedulable"] = False
    worlds.settle(NODES, ONE)
    assert not virtual["spec"].get("taints"), "the host's controller takes it off in a moment"


SETTINGS = st.fixed_dictionaries(
    {
        "labels": st.dictionaries(st.sampled_from("ab"), st.sampled_from(["1", "2"])),
        "taints": st.lists(st.sampled_from([TAINT, MINE]), unique_by=lambda taint: taint["key"]),
        "unschedulable": st.booleans(),
    }
)


@given(st.lists(st.tuples(st.sampled_from(["user", "host"]), SETTINGS, st.booleans()), max_size=6), st.booleans())
def test_both_sides_come_to_rest_after_any_edits(edits: list[tuple[str, Any, bool]], private: bool) -> None:
    worlds = Worlds(tenant(private_nodes=private))
    virtual, host = mirrored(worlds)
    own = {"user": dict(virtual["metadata"]["labels"]), "host": dict(host["metadata"]["labels"])}
    for side, wanted, settles in edits:
        node = virtual if side == "user" else host
        node["metadata"]["labels"] = {**own[side], **wanted["labels"]}
        node["spec"] = {"taints": list(wanted["taints"]), "unschedulable": wanted["unschedulable"]}
        if settles:
            worlds.settle(NODES, ONE)
    worlds.settle(NODES, ONE)
    if private:
        assert {virtual["metadata"]["labels"].get(key) == host["metadata"]["labels"].get(key) for key in "ab"} == {True}
        assert bool(virtual["spec"].get("unschedulable")) == bool(host["spec"].get("unschedulable"))
    for taint in host["spec"].get("taints") or ():
        assert taint in virtual["spec"]["taints"]


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


def test_what_a_shared_node_has_from_the_host_is_not_edited() -> None:
    worlds = Worlds(tenant(private_nodes=False))
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

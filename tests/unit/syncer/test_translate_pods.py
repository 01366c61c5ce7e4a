"""A pod's life in both worlds."""

from typing import Any

import pytest
from syncer_worlds import Worlds, host_pod, pod, run_on_host, tenant
from vcluster_syncer.model import (
    NODES,
    PODS,
    Bind,
    CreateHost,
    DeleteHost,
    DeleteVirtual,
    Key,
    PatchHost,
    Refuse,
    UpdateVirtualStatus,
)
from vcluster_syncer.naming import host_name
from vcluster_syncer.translate import nodes

WEB = Key("default", "web")


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


def running(worlds: Worlds, **status: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    node = worlds.node()
    pod(worlds)
    run_on_host(worlds, node, **status)
    worlds.settle(PODS, WEB)
    return worlds.here[PODS, WEB], host_pod(worlds)


def test_is_created_on_the_host_once(worlds: Worlds) -> None:
    pod(worlds)
    (create,) = worlds.look(PODS, WEB)
    assert isinstance(create, CreateHost)
    worlds.do(create)
    assert list(worlds.look(PODS, WEB)) == []


def test_is_bound_to_the_mirrored_node_before_any_status(worlds: Worlds) -> None:
    node = worlds.node("node-1")
    pod(worlds)
    run_on_host(worlds, node)
    assert [type(action) for action in worlds.look(PODS, WEB)] == [Bind]
    worlds.settle(PODS, WEB)
    virtual = worlds.here[PODS, WEB]
    assert virtual["spec"]["nodeName"] == "node-1"
    assert virtual["status"]["phase"] == "Running"


def test_waits_for_its_node_to_be_mirrored_and_is_woken_by_it(worlds: Worlds) -> None:
    node = worlds.node("node-1")
    del worlds.here[NODES, Key("", "node-1")]
    pod(worlds)
    run_on_host(worlds, node)
    assert list(worlds.look(PODS, WEB)) == []
    worlds.settle(NODES, Key("", "node-1"))
    assert (PODS, WEB) in set(nodes.KIND.wakes(worlds.here[NODES, Key("", "node-1")], worlds))


def test_an_unschedulable_pod_says_so_in_the_virtual_cluster(worlds: Worlds) -> None:
    pod(worlds)
    found = host_pod(worlds)
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    found["status"] = {"phase": "Pending", "conditions": [condition]}
    worlds.settle(PODS, WEB)
    assert worlds.here[PODS, WEB]["status"]["conditions"] == [condition]


def test_a_foreign_object_of_its_name_is_left_alone_and_the_user_told(worlds: Worlds) -> None:
    foreign = worlds.put_host(PODS, host_name("vc-a1", *WEB), spec={}, status={})
    pod(worlds)
    (refusal,) = worlds.settle(PODS, WEB)
    assert isinstance(refusal, Refuse)
    assert refusal.key == WEB
    assert foreign["metadata"]["name"] not in refusal.message
    assert list(worlds.there.values()) == [foreign]


def test_a_namesake_created_anew_gets_a_new_host_pod(worlds: Worlds) -> None:
    running(worlds)
    old = host_pod(worlds)["metadata"]["uid"]
    pod(worlds)
    (delete,) = worlds.look(PODS, WEB)
    assert isinstance(delete, DeleteHost)
    assert (delete.uid, delete.grace_seconds) == (old, 0)
    assert host_pod(worlds)["metadata"]["uid"] != old


class TestEnding:
    def test_user_deletes_and_host_follows_with_his_grace(self, worlds: Worlds) -> None:
        virtual, host = running(worlds)
        virtual["metadata"].update(deletionTimestamp="2026-11-21T10:00:00Z", deletionGracePeriodSeconds=7)
        assert worlds.look(PODS, WEB) == [DeleteHost(PODS, host["metadata"]["name"], host["metadata"]["uid"], 7)]
        worlds.settle(PODS, WEB)
        assert (PODS, WEB) in worlds.here, "stays until the host pod is gone"

    def test_virtual_pod_goes_when_the_host_pod_is_gone(self, worlds: Worlds) -> None:
        virtual, host = running(worlds)
        virtual["metadata"].update(deletionTimestamp="2026-11-21T10:00:00Z", deletionGracePeriodSeconds=7)
        del worlds.there[PODS, host["metadata"]["name"]]
        assert list(worlds.look(PODS, WEB)) == [DeleteVirtual(PODS, WEB, virtual["metadata"]["uid"], 0)]

    def test_a_finalizer_of_the_user_is_waited_for(self, worlds: Worlds) -> None:
        virtual, host = running(worlds)
        virtual["metadata"].update(deletionTimestamp="2026-11-21T10:00:00Z", deletionGracePeriodSeconds=0)
        del worlds.there[PODS, host["metadata"]["name"]]
        assert list(worlds.look(PODS, WEB)) == []

    def test_host_evicts_and_the_virtual_pod_follows_with_that_grace(self, worlds: Worlds) -> None:
        virtual, host = running(worlds)
        host["metadata"].update(deletionTimestamp="2026-11-21T10:00:00Z", deletionGracePeriodSeconds=5)
        assert list(worlds.look(PODS, WEB)) == [DeleteVirtual(PODS, WEB, virtual["metadata"]["uid"], 5)]

    @pytest.mark.parametrize(("here", "there"), [(3, 30), (30, 3)])
    def test_the_shorter_grace_wins(self, worlds: Worlds, here: int, there: int) -> None:
        virtual, host = running(worlds)
        virtual["metadata"].update(deletionTimestamp="2026-11-21T10:00:00Z", deletionGracePeriodSeconds=here)
        host["metadata"].update(deletionTimestamp="2026-11-21T10:00:00Z", deletionGracePeriodSeconds=there)
        worlds.settle(PODS, WEB)
        ends = worlds.here[PODS, WEB]["metadata"], host_pod(worlds)["metadata"]
        assert [end["deletionGracePeriodSeconds"] for end in ends] == [3, 3]

    def test_status_still_flows_while_terminating(self, worlds: Worlds) -> None:
        _, host = running(worlds)
        host["metadata"].update(deletionTimestamp="2026-11-21T10:00:00Z", deletionGracePeriodSeconds=30)
        worlds.settle(PODS, WEB)
        host["status"]["phase"] = "Succeeded"
        worlds.settle(PODS, WEB)
        assert worlds.here[PODS, WEB]["status"]["phase"] == "Succeeded"

    def test_host_pod_vanished_so_the_virtual_one_goes_at_once(self, worlds: Worlds) -> None:
        virtual, host = running(worlds)
        del worlds.there[PODS, host["metadata"]["name"]]
        assert list(worlds.look(PODS, WEB)) == [DeleteVirtual(PODS, WEB, virtual["metadata"]["uid"], 0)]

    @pytest.mark.parametrize(("phase", "shown"), [("Running", "Failed"), ("Succeeded", "Succeeded")])
    def test_who_holds_a_pod_whose_host_pod_vanished_is_told_that_it_ended(
        self, worlds: Worlds, phase: str, shown: str
    ) -> None:
        virtual, host = running(worlds)
        virtual["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking"]
        host["status"]["phase"] = phase
        worlds.settle(PODS, WEB)
        del worlds.there[PODS, host["metadata"]["name"]]
        actions = worlds.look(PODS, WEB)
        for action in actions[:-1]:
            worlds.do(action)
        assert isinstance(actions[-1], DeleteVirtual)
        assert virtual["status"]["phase"] == shown
        virtual["metadata"].update(deletionTimestamp="2026-11-21T10:00:00Z", deletionGracePeriodSeconds=0)
        assert list(worlds.look(PODS, WEB)) == [], "it is the finalizer's turn"

    def test_host_pod_vanished_before_it_started_is_made_again(self, worlds: Worlds) -> None:
        pod(worlds)
        del worlds.there[PODS, host_pod(worlds)["metadata"]["name"]]
        assert isinstance(worlds.look(PODS, WEB)[0], CreateHost)

    def test_forced_deletion_is_forced_on_the_host(self, worlds: Worlds) -> None:
        _, host = running(worlds)
        del worlds.here[PODS, WEB]
        assert list(worlds.look(PODS, WEB)) == [DeleteHost(PODS, host["metadata"]["name"], host["metadata"]["uid"], 0)]

    def test_nothing_on_either_side_is_nothing_to_do(self, worlds: Worlds) -> None:
        assert list(worlds.look(PODS, WEB)) == []


class TestPlacing:
    def test_a_pod_with_a_scheduler_of_its_own_waits_for_that_one(self, worlds: Worlds) -> None:
        node = worlds.node("node-2")
        virtual = pod(worlds, schedulerName="mine")
        assert list(worlds.look(PODS, WEB)) == []
        virtual["spec"]["nodeName"] = "node-2"
        spec = host_pod(worlds)["spec"]
        assert (spec["nodeName"], spec["schedulerName"]) == (node, "default-scheduler")

    def test_a_node_named_by_the_user_must_exist(self, worlds: Worlds) -> None:
        pod(worlds, nodeName="no-such-node")
        assert list(worlds.look(PODS, WEB)) == []

    def test_a_binding_by_somebody_else_moves_the_host_pod(self, worlds: Worlds) -> None:
        worlds.node("node-1")
        other = worlds.node("node-2")
        virtual = pod(worlds)
        host_pod(worlds)
        virtual["spec"]["nodeName"] = "node-2"
        assert host_pod(worlds)["spec"]["nodeName"] == other

    def test_shared_nodes_keep_their_names(self) -> None:
        worlds = Worlds(tenant(private_nodes=False))
        pod(worlds)
        run_on_host(worlds, worlds.node("worker-7"))
        worlds.settle(PODS, WEB)
        assert worlds.here[PODS, WEB]["spec"]["nodeName"] == "worker-7"


class TestUpdates:
    def test_labels_and_annotations_follow_and_the_hosts_own_stay(self, worlds: Worlds) -> None:
        virtual = pod(worlds, metadata={"labels": {"a": "1", "b": "1"}, "annotations": {"x": "1"}})
        host = host_pod(worlds)
        host["metadata"]["labels"]["set-by-host"] = "yes"
        virtual["metadata"].update(labels={"a": "2"}, annotations={"y": "1"})
        metadata = host_pod(worlds)["metadata"]
        assert {key: metadata["labels"].get(key) for key in ("a", "b", "set-by-host")} == {
            "a": "2",
            "b": None,
            "set-by-host": "yes",
        }
        assert "x" not in metadata["annotations"]
        assert metadata["annotations"]["y"] == "1"

    def test_an_image_follows_and_a_sidecar_of_the_host_stays(self, worlds: Worlds) -> None:
        virtual, host = running(worlds)
        sidecar = {"name": "injected", "image": "mesh:1"}
        host["spec"]["containers"] = [*host["spec"]["containers"], sidecar]
        virtual["spec"]["containers"] = [{"name": "main", "image": "app:2"}]
        virtual["metadata"]["generation"] = 2
        containers = host_pod(worlds)["spec"]["containers"]
        assert [(one["name"], one["image"]) for one in containers] == [("main", "app:2"), ("injected", "mesh:1")]

    def test_a_change_the_host_made_to_the_spec_is_not_fought(self, worlds: Worlds) -> None:
        _, host = running(worlds)
        host["spec"]["containers"][0]["image"] = "mirror.local/app:1"
        host["spec"]["tolerations"] = [{"key": "host-only", "operator": "Exists"}]
        assert list(worlds.look(PODS, WEB)) == []

    def test_tolerations_are_added_and_the_hosts_own_stay(self, worlds: Worlds) -> None:
        virtual, host = running(worlds)
        host["spec"]["tolerations"] = [{"key": "host-only", "operator": "Exists"}]
        virtual["spec"]["tolerations"] = [{"key": "mine", "operator": "Exists"}]
        virtual["metadata"]["generation"] = 2
        assert {one["key"] for one in host_pod(worlds)["spec"]["tolerations"]} == {"host-only", "mine"}

    def test_a_gate_the_user_removes_goes_and_the_hosts_own_stays(self, worlds: Worlds) -> None:
        virtual = pod(worlds, schedulingGates=[{"name": "mine"}])
        host = host_pod(worlds)
        host["spec"]["schedulingGates"].append({"name": "quota.host/gate"})
        del virtual["spec"]["schedulingGates"]
        virtual["spec"]["nodeSelector"] = {"disk": "fast"}
        virtual["metadata"]["generation"] = 2
        spec = host_pod(worlds)["spec"]
        assert spec["schedulingGates"] == [{"name": "quota.host/gate"}]
        assert spec["nodeSelector"]["disk"] == "fast", "who opens a gate may say where to go"

    def test_a_debug_container_is_added_through_its_subresource(self, worlds: Worlds) -> None:
        virtual, _ = running(worlds)
        virtual["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox"}]
        virtual["metadata"]["generation"] = 2
        (patch,) = worlds.look(PODS, WEB)
        assert isinstance(patch, PatchHost)
        assert patch.subresource == "ephemeralcontainers"
        assert host_pod(worlds)["spec"]["ephemeralContainers"][0]["name"] == "debug"

    def test_a_resize_goes_through_its_subresource(self, worlds: Worlds) -> None:
        virtual, _ = running(worlds)
        virtual["spec"]["containers"] = [{"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "2"}}}]
        virtual["metadata"]["generation"] = 2
        first = worlds.look(PODS, WEB)[0]
        assert isinstance(first, PatchHost)
        assert first.subresource == "resize"
        assert host_pod(worlds)["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "2"}}


def test_a_status_write_carries_the_version_it_was_computed_from(worlds: Worlds) -> None:
    virtual, host = running(worlds)
    host["status"]["podIP"] = "10.1.0.8"
    (update,) = worlds.look(PODS, WEB)
    assert isinstance(update, UpdateVirtualStatus)
    assert update.object["metadata"]["resourceVersion"] == virtual["metadata"]["resourceVersion"]

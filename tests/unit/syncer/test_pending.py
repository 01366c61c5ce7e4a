"""Why a pod waits, as both sides tell it."""

import pytest
from syncer_worlds import Worlds, host_pod, pod, run_on_host
from vcluster_syncer import pending
from vcluster_syncer.model import CONFIGMAPS, EVENTS, PODS, SECRETS, Key, Resource

WEB = (PODS, Key("default", "web"))


@pytest.fixture
def worlds():
    made = with_account()
    made.node()
    return made


def with_account():
    made = Worlds()
    made.put(Resource("", "v1", "serviceaccounts", "ServiceAccount"), "default", "default")
    return made


def told(worlds, *, host_events=(), queued=None, errors=None):
    return pending.pods(worlds, host_events=host_events, queued=queued or {}, errors=errors or {})


def only(worlds, **known):
    [one] = told(worlds, **known)
    return one


def event(number, uid, **fields):
    metadata = {"name": f"e{number}", "namespace": "default", "resourceVersion": str(number)}
    return {"metadata": metadata, "involvedObject": {"uid": uid}, "type": "Warning", **fields}


def test_pods_that_are_ready_or_over_are_left_out(worlds):
    node = "vc-a1-node-1"
    for name, status in (("running", {}), ("done", {"phase": "Succeeded"}), ("lost", {"phase": "Failed"})):
        pod(worlds, name)
        run_on_host(worlds, node, name, **status)
        worlds.settle(PODS, Key("default", name))
    pod(worlds, "web")
    assert [one["name"] for one in told(worlds)] == ["web"]


def test_a_running_pod_that_is_not_ready_is_told_with_what_its_containers_say(worlds):
    pod(worlds)
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    run_on_host(
        worlds,
        "vc-a1-node-1",
        conditions=[{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "main"}],
        containerStatuses=[{"name": "main", "ready": False, "state": waiting}],
    )
    worlds.settle(*WEB)
    one = only(worlds)
    assert one["phase"] == "Running"
    assert one["host"]["node"] == "vc-a1-node-1"
    assert one["host"]["containers"] == [
        {"name": "main", "state": "waiting", "reason": "ImagePullBackOff", "message": "no such image"}
    ]
    assert one["host"]["conditions"] == [
        {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "main"}
    ]


def test_configmaps_and_secrets_are_missed_unless_they_are_optional_or_there(worlds):
    worlds.put(SECRETS, "default", "there")
    volumes = [
        {"name": "a", "secret": {"secretName": "there"}},
        {"name": "b", "secret": {"secretName": "missing"}},
        {"name": "c", "secret": {"secretName": "optional", "optional": True}},
        {"name": "d", "projected": {"sources": [{"configMap": {"name": "projected"}}]}},
    ]
    environment = [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "perhaps", "key": "a", "optional": True}}},
    ]
    containers = [{"name": "main", "image": "app", "env": environment}]
    pod(worlds, containers=containers, volumes=volumes, imagePullSecrets=[{"name": "registry"}])
    before = dict(worlds.here[WEB])
    assert only(worlds)["waits_for"] == [
        "ConfigMap default/projected, which does not exist",
        "ConfigMap default/settings, which does not exist",
        "Secret default/missing, which does not exist",
    ]
    assert worlds.here[WEB] == before


def test_gates_and_foreign_schedulers_are_named(worlds):
    pod(worlds, schedulingGates=[{"name": "example.com/quota"}], schedulerName="mine")
    assert only(worlds)["waits_for"] == [
        "the scheduling gate example.com/quota",
        "the scheduler mine, which has to run in the virtual cluster",
    ]


def test_a_cluster_without_nodes_is_a_reason():
    worlds = with_account()
    pod(worlds)
    assert only(worlds)["waits_for"] == ["a node: the virtual cluster has none"]


def test_a_pod_that_does_not_end_tells_whose_turn_it_is(worlds):
    pod(worlds, metadata={"deletionTimestamp": "2026-11-21T10:00:00Z"})
    pod(worlds, "held", metadata={"deletionTimestamp": "2026-11-21T10:00:00Z", "finalizers": ["example.com/a"]})
    assert [one["waits_for"] for one in told(worlds)] == [["its end on the host"], ["its finalizers example.com/a"]]


def test_the_queue_and_the_last_error_of_the_pod_and_of_what_it_uses_are_told(worlds):
    worlds.put(CONFIGMAPS, "default", "settings")
    pod(worlds, containers=[{"name": "main", "envFrom": [{"configMapRef": {"name": "settings"}}]}])
    settings = (CONFIGMAPS, Key("default", "settings"))
    quota = "pods is forbidden: exceeded quota"
    one = only(worlds, queued={WEB: "delayed"}, errors={WEB: quota, settings: "NameTaken: somebody else's"})
    assert (one["queue"], one["error"]) == ("delayed", quota)
    assert one["used"] == ["ConfigMap default/settings: NameTaken: somebody else's"]
    assert only(worlds)["queue"] == "idle"
    assert one["host"] is None


def test_events_of_both_sides_are_told_and_nobody_elses(worlds):
    virtual = pod(worlds)
    host = host_pod(worlds)
    worlds.put(EVENTS, "default", "e1", **event(1, virtual["metadata"]["uid"], reason="SyncError", message="quota"))
    worlds.here[EVENTS, Key("default", "e1")]["metadata"]["resourceVersion"] = "1"
    scheduling = event(7, host["metadata"]["uid"], reason="FailedScheduling", message="0/1 nodes", count=3)
    one = only(worlds, host_events=[scheduling, event(8, "somebody-else", reason="Other")])
    assert one["events"] == [{"type": "Warning", "reason": "SyncError", "message": "quota", "count": 1}]
    assert one["host"]["events"] == [
        {"type": "Warning", "reason": "FailedScheduling", "message": "0/1 nodes", "count": 3}
    ]
    assert one["host"]["name"] == host["metadata"]["name"]


def test_a_kind_that_is_turned_off_is_no_reason(worlds, monkeypatch):
    watched = worlds.virtual

    def virtual(resource, key):
        if resource == CONFIGMAPS:
            raise LookupError(resource.plural)
        return watched(resource, key)

    monkeypatch.setattr(worlds, "virtual", virtual)
    pod(worlds, containers=[{"name": "main", "envFrom": [{"configMapRef": {"name": "settings"}}]}])
    assert only(worlds)["waits_for"] == []

"""What the host says of a pod, in words: on its way, hopeless, dead."""

import pytest

from pytest_vcluster.hosts.in_cluster import health


def pod(*containers, phase="Running", deleted=False, **status):
    metadata = {"name": "vc-1-0", **({"deletionTimestamp": "now"} if deleted else {})}
    return {"metadata": metadata, "status": {"phase": phase, "containerStatuses": list(containers), **status}}


def container(name="etcd", **state):
    return {"name": name, "image": f"registry.example/{name}:1", "state": state}


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"])
def test_an_image_that_can_not_be_had_is_hopeless_and_named(reason):
    found = health.hopeless(pod(container(waiting={"reason": reason, "message": "not found"})))
    assert found == f"container etcd (registry.example/etcd:1): {reason}: not found"


def test_a_container_that_keeps_ending_is_hopeless():
    crashing = pod(container("syncer", waiting={"reason": "CrashLoopBackOff", "message": "back-off 10s"}))
    assert health.hopeless(crashing) == "container syncer ends again and again: back-off 10s"
    assert health.crashing(crashing) == "syncer"


@pytest.mark.parametrize("state", [{"running": {}}, {"waiting": {"reason": "ContainerCreating"}}, {}])
def test_there_is_hope(state):
    assert health.hopeless(pod(container(**state))) == ""
    assert health.crashing(pod(container(**state))) == ""


def test_how_far_it_has_come():
    seen = health.last_seen(pod(container(running={}), container("syncer", waiting={"reason": "ContainerCreating"})))
    assert seen == "Running: etcd running, syncer ContainerCreating"
    unplaced = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient memory"}]
    assert health.last_seen(pod(phase="Pending", conditions=unplaced)) == (
        "not scheduled: 0/1 nodes: Insufficient memory"
    )


def test_refusals_of_the_host_are_told_in_its_words():
    events = [
        {"reason": "SuccessfulCreate", "message": "created"},
        {"reason": "FailedCreate", "message": "exceeded quota: team"},
    ]
    assert health.refused(events) == "exceeded quota: team"
    assert health.refused(events[:1]) == ""


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (None, "was deleted from the host"),
        (pod(container(running={}), deleted=True), "was deleted from the host"),
        (pod(phase="Failed", reason="Evicted"), "Failed: Evicted"),
        (pod(phase="Succeeded"), "Succeeded: it ended"),
    ],
)
def test_a_pod_that_is_gone_is_dead(found, status):
    [death] = health.deaths(found, "vc-1", {})
    assert (death.component, death.status) == ("vc-1/pod", status)


def test_a_container_that_ended_is_dead_even_when_it_runs_again():
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    again = {**container("kube-apiserver", running={}), "lastState": ended, "restartCount": 1}
    for found in (container("kube-apiserver", **ended), again):
        [death] = health.deaths(pod(container(running={}), found), "vc-1", {})
        assert (death.component, death.status) == ("vc-1/kube-apiserver", "ended with 137 (OOMKilled)")


def test_a_pod_that_runs_has_no_deaths():
    assert health.deaths(pod(container(running={})), "vc-1", {}) == ()


def test_what_began_anew_before_the_cluster_was_ready_is_no_death():
    once = {**container(running={}), "lastState": {"terminated": {"exitCode": 1}}, "restartCount": 1}
    assert health.restarts(pod(once)) == {"etcd": 1}
    assert health.restarts(None) == {}
    assert health.deaths(pod(once), "vc-1", {"etcd": 1}) == ()

    [death] = health.deaths(pod({**once, "restartCount": 2}), "vc-1", {"etcd": 1})
    assert death.component == "vc-1/etcd"


def ready(status):
    return pod(container(running={}), conditions=[{"type": "Ready", "status": status}])


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([], True),
        ([ready("True")], True),
        ([ready("True"), ready("False")], False),
        ([pod(phase="Pending")], False),
        ([pod(phase="Succeeded"), pod(phase="Failed"), ready("True")], True),
    ],
)
def test_pods_are_at_rest_when_they_are_ready_or_have_ended(pods, expected):
    assert health.at_rest(pods) is expected

"""Waiting for real objects that real controllers change."""

import threading
import time

import pytest
from cluster_objects import config_map, custom, definition, deployment

from pytest_vcluster.errors import ApiError, Timeout


def test_a_deployment_becomes_available(vcluster_module):
    vcluster_module.apply(deployment("web", replicas=2))
    ready = vcluster_module.wait("deployment/web", "condition=Available")
    assert ready["kind"] == "Deployment"
    vcluster_module.wait("deploy/web", "jsonpath={.status.readyReplicas}=2")
    found = vcluster_module.get("pods", selector="app=web")
    assert (
        vcluster_module.wait(found[0], "jsonpath={.status.phase}=Running")["metadata"]["uid"]
        == found[0]["metadata"]["uid"]
    )
    vcluster_module.wait(found[1], 'jsonpath={.status.conditions[?(@.type=="Ready")].status}=True')


def test_events_tell_what_happened_to_an_object(vcluster_module):
    vcluster_module.apply(deployment("eventful"))
    vcluster_module.wait("deployment/eventful", "condition=Available")

    def told():
        events = vcluster_module.events()
        return {event["reason"] for event in events if event["involvedObject"]["name"].startswith("eventful")}

    # Events are written beside what they tell of.
    deadline = time.monotonic() + 60
    while not {"ScalingReplicaSet", "SuccessfulCreate"} <= told():
        assert time.monotonic() < deadline, told()
        time.sleep(0.05)
    assert [event["reason"] for event in vcluster_module.events("deployment/eventful")] == ["ScalingReplicaSet"]
    assert vcluster_module.events(namespace="kube-public") == []


def test_an_object_of_another_process_is_seen_at_once(vcluster_module):
    thread = threading.Timer(0.3, vcluster_module.apply, [config_map("later", a="1")])
    thread.start()
    found = vcluster_module.wait("cm/later", "create")
    thread.join()
    assert found["data"] == {"a": "1"}


def test_a_change_is_seen_without_polling(vcluster_module):
    """One of some changes at least: a machine that is busy just then may keep any of them for a second."""
    vcluster_module.apply(config_map("watched", a="0"))

    def seconds_until_seen(value):
        changed = []

        def change():
            vcluster_module.apply(config_map("watched", a=value))
            changed.append(time.monotonic())

        thread = threading.Timer(0.2, change)
        thread.start()
        vcluster_module.wait("cm/watched", f"jsonpath={{.data.a}}={value}")
        seen = time.monotonic()
        thread.join()
        return seen - changed[0]

    assert any(seconds_until_seen(value) < 1 for value in "12345")


def test_a_long_wait_outlives_several_watches(vcluster_module):
    thread = threading.Timer(4.5, vcluster_module.apply, [config_map("slow")])
    thread.start()
    vcluster_module.wait("cm/slow", "create", timeout=30)
    thread.join()


def test_a_deletion_is_waited_for(vcluster_module):
    (made,) = vcluster_module.apply(config_map("leaving"))
    vcluster_module.delete("cm/leaving", wait=False)
    vcluster_module.wait(made, "delete")
    with pytest.raises(ApiError):
        vcluster_module.get("cm", "leaving")


def test_conditions_of_custom_resources_count_only_for_their_generation(vcluster_module):
    vcluster_module.apply([definition("robots"), custom("Robot", "r", size=1)])
    path = "/apis/example.com/v1/namespaces/default/robots/r/status"
    conditions = [{"type": "Ready", "status": "True", "observedGeneration": 1}]
    vcluster_module.api.rest.call(
        "PATCH", path, body={"status": {"conditions": conditions}}, content_type="application/merge-patch+json"
    )
    vcluster_module.wait("robot/r", "condition=Ready")
    vcluster_module.apply(custom("Robot", "r", size=2))
    with pytest.raises(Timeout, match="Ready=True"):
        vcluster_module.wait("robot/r", "condition=Ready", timeout=2)


def test_a_wait_in_vain_tells_what_was_seen_and_what_happened(vcluster_module):
    stuck = deployment("stuck")
    stuck["spec"]["template"]["spec"]["nodeSelector"] = {"no": "such"}
    vcluster_module.apply(stuck)
    vcluster_module.wait("deployment/stuck", "jsonpath={.status.unavailableReplicas}=1")
    with pytest.raises(Timeout) as caught:
        vcluster_module.wait("deployment/stuck", "condition=Available", timeout=2)
    text = str(caught.value)
    assert "Waiting for Deployment stuck in namespace default: condition=Available: not within" in text
    assert caught.value.elapsed >= 2
    assert "Available=False (MinimumReplicasUnavailable" in text
    assert "Normal ScalingReplicaSet" in text
    assert "--vcluster-timeout" in text


def test_a_kind_that_does_not_exist_is_no_reason_to_wait(vcluster_module):
    with pytest.raises(ApiError, match="no kind 'deploymint'; did you mean deployment"):
        vcluster_module.wait("deploymint/x", "condition=Available")

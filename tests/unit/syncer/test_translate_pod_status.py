from typing import Any

import pytest
from syncer_worlds import Worlds, host_pod, pod, run_on_host
from vcluster_syncer.model import PODS, Key, PatchHost

WEB = Key("default", "web")


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


def shown(worlds: Worlds, **status: Any) -> dict[str, Any]:
    """What the virtual pod says when the host pod's status is `status`."""
    node = worlds.node()
    if (PODS, WEB) not in worlds.here:
        pod(worlds)
    run_on_host(worlds, node, **status)
    worlds.settle(PODS, WEB)
    found: dict[str, Any] = worlds.here[PODS, WEB]["status"]
    return found


def condition(kind: str, status: str = "True", **fields: Any) -> dict[str, Any]:
    return {"type": kind, "status": status, **fields}


def test_is_faithful(worlds: Worlds) -> None:
    status = shown(worlds, podIP="10.1.0.9", podIPs=[{"ip": "10.1.0.9"}], reason="Because")
    assert (status["podIP"], status["hostIP"], status["podIPs"]) == ("10.1.0.9", "10.2.0.1", [{"ip": "10.1.0.9"}])
    assert status["reason"] == "Because"
    assert status["startTime"] == "2026-11-21T09:00:00Z"


def test_the_quality_of_service_stays_what_it_was(worlds: Worlds) -> None:
    assert shown(worlds, qosClass="Burstable")["qosClass"] == "BestEffort"


def test_containers_the_user_does_not_know_are_not_shown(worlds: Worlds) -> None:
    statuses = [{"name": "main", "ready": True}, {"name": "injected", "ready": True}]
    status = shown(worlds, containerStatuses=statuses, initContainerStatuses=[{"name": "injected-too"}])
    assert [one["name"] for one in status["containerStatuses"]] == ["main"]
    assert "initContainerStatuses" not in status


class TestObservedGeneration:
    """The host pod's generations count other changes than the virtual pod's."""

    def observed(self, worlds: Worlds, *, here: int, there: int, seen: int | None) -> dict[str, Any]:
        virtual = pod(worlds, metadata={"generation": here})
        host_pod(worlds)["metadata"]["generation"] = there
        known: dict[str, Any] = {} if seen is None else {"observedGeneration": seen}
        shown(worlds, **known, conditions=[condition("Ready", **known)])
        return virtual

    def test_is_the_virtual_generation_once_the_host_has_seen_its_own(self, worlds: Worlds) -> None:
        status = self.observed(worlds, here=5, there=2, seen=2)["status"]
        assert status["observedGeneration"] == 5
        assert status["conditions"][0]["observedGeneration"] == 5

    def test_stays_behind_while_the_host_is_behind(self, worlds: Worlds) -> None:
        virtual = self.observed(worlds, here=5, there=2, seen=2)
        virtual["spec"]["containers"] = [{"name": "main", "image": "app:2"}]
        virtual["metadata"]["generation"] = 6
        assert host_pod(worlds)["metadata"]["generation"] == 3
        assert virtual["status"]["observedGeneration"] == 5
        host_pod(worlds)["status"]["observedGeneration"] = 3
        worlds.settle(PODS, WEB)
        assert virtual["status"]["observedGeneration"] == 6

    def test_says_nothing_when_the_host_says_nothing(self, worlds: Worlds) -> None:
        assert "observedGeneration" not in self.observed(worlds, here=5, there=2, seen=None)["status"]


class TestConditions:
    def test_what_the_virtual_clusters_controllers_said_is_kept(self, worlds: Worlds) -> None:
        virtual = pod(worlds)
        virtual["status"]["conditions"] = [condition("DisruptionTarget", reason="EvictionByEvictionAPI")]
        kinds = {one["type"] for one in shown(worlds, conditions=[condition("Ready")])["conditions"]}
        assert kinds == {"Ready", "DisruptionTarget"}

    def test_what_the_kubelet_no_longer_says_is_gone(self, worlds: Worlds) -> None:
        shown(worlds, conditions=[condition("Ready"), condition("PodResizePending")])
        assert [one["type"] for one in shown(worlds, conditions=[condition("Ready")])["conditions"]] == ["Ready"]

    def test_a_readiness_gate_said_in_the_virtual_cluster_reaches_the_hosts_kubelet(self, worlds: Worlds) -> None:
        virtual = pod(worlds, readinessGates=[{"conditionType": "lb/ready"}])
        shown(worlds, conditions=[condition("Ready", "False")])
        virtual["status"]["conditions"] = [*virtual["status"]["conditions"], condition("lb/ready")]
        patch = worlds.look(PODS, WEB)[0]
        assert isinstance(patch, PatchHost)
        assert patch.subresource == "status"
        worlds.settle(PODS, WEB)
        assert condition("lb/ready") in host_pod(worlds)["status"]["conditions"]
        assert condition("Ready", "False") in host_pod(worlds)["status"]["conditions"]

    def test_a_readiness_gate_the_host_knows_first_is_shown(self, worlds: Worlds) -> None:
        pod(worlds, readinessGates=[{"conditionType": "lb/ready"}])
        assert condition("lb/ready") in shown(worlds, conditions=[condition("lb/ready")])["conditions"]


def test_a_nominated_node_has_its_virtual_name(worlds: Worlds) -> None:
    assert shown(worlds, nominatedNodeName=worlds.node("node-3"))["nominatedNodeName"] == "node-3"


def test_a_nominated_node_of_somebody_else_is_not_shown(worlds: Worlds) -> None:
    assert "nominatedNodeName" not in shown(worlds, nominatedNodeName="vc-other-node-1")


def test_no_host_name_is_in_its_messages(worlds: Worlds) -> None:
    virtual = pod(worlds, volumes=[{"name": "v", "configMap": {"name": "settings"}}])
    host = host_pod(worlds)
    own = host["metadata"]
    used = host["spec"]["volumes"][0]["configMap"]["name"]
    text = f"back-off of pod={own['name']}_{own['namespace']}({own['uid']}) on vc-a1-node-1: configmap {used} not found"
    status = shown(
        worlds,
        message=text,
        conditions=[condition("Ready", "False", message=text)],
        containerStatuses=[{"name": "main", "state": {"waiting": {"message": text}}}],
    )
    clean = f"back-off of pod=web_default({virtual['metadata']['uid']}) on node-1: configmap settings not found"
    assert status["message"] == clean
    assert status["conditions"][0]["message"] == clean
    assert status["containerStatuses"][0]["state"]["waiting"]["message"] == clean

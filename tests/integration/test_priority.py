"""Priorities in clusters that tests are given: the host's scheduler goes by them."""

import pytest

PATIENCE = 60


def priority_class(name, value):
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
    }


def pod(name, priority):
    container = {"name": "main", "image": "app:1", "resources": {"requests": {"cpu": "800m"}}}
    spec = {"containers": [container], "priorityClassName": priority, "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.mark.vcluster(nodes=[{"name": "small", "capacity": {"cpu": "1", "memory": "4Gi", "pods": "10"}}])
@pytest.mark.parametrize("lease", [1, 2, 3])
def test_what_matters_more_takes_the_place_of_what_matters_less(vcluster, lease):
    """Again and again, because a lease must find nothing of the one before's classes."""
    assert [one["metadata"]["name"] for one in vcluster.get("priorityclasses")] == [
        "system-cluster-critical",
        "system-node-critical",
    ]
    vcluster.apply([priority_class("low", 10), priority_class("high", 1000 + lease)])
    vcluster.apply(pod("first", "low"))
    vcluster.wait("pod/first", "condition=Ready", timeout=PATIENCE)
    vcluster.apply(pod("second", "high"))
    vcluster.wait("pod/second", "condition=Ready", timeout=PATIENCE)
    vcluster.wait("pod/first", "delete", timeout=PATIENCE)
    assert vcluster.get("pod", "second")["spec"]["priority"] == 1000 + lease

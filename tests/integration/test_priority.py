"""Priorities in clusters that tests are given: the host's scheduler goes by them."""

import time

import pytest

from pytest_vcluster.errors import VClusterError

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


def admitted(vcluster, made):
    """Make a pod as soon as admission knows its class: it learns of a new one a moment after that is made."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return vcluster.apply(made)
        except VClusterError as error:
            if "no PriorityClass" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@pytest.mark.vcluster(nodes=[{"name": "small", "capacity": {"cpu": "1", "memory": "4Gi", "pods": "10"}}])
@pytest.mark.parametrize("lease", [1, 2, 3])
def test_what_matters_more_takes_the_place_of_what_matters_less(vcluster, lease):
    """Again and again, because a lease must find nothing of the one before's classes."""
    assert [one["metadata"]["name"] for one in vcluster.get("priorityclasses")] == [
        "system-cluster-critical",
        "system-node-critical",
    ]
    vcluster.apply([priority_class("low", 10), priority_class("high", 1000 + lease)])
    admitted(vcluster, pod("first", "low"))
    vcluster.wait("pod/first", "condition=Ready", timeout=PATIENCE)
    admitted(vcluster, pod("second", "high"))
    vcluster.wait("pod/second", "condition=Ready", timeout=PATIENCE)
    vcluster.wait("pod/first", "delete", timeout=PATIENCE)
    assert vcluster.get("pod", "second")["spec"]["priority"] == 1000 + lease

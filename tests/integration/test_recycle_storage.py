"""Claims and volumes on a real host, and what recycling leaves of them: nothing, on either side."""

import time

import pytest
from recycled_cluster import Place

CORE = "/api/v1/namespaces/default"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
PATIENCE = 90


@pytest.fixture(scope="module")
def place():
    with Place() as running:
        yield running


@pytest.fixture(scope="module")
def host(place):
    client = place.opened._host.result().plane.api()
    yield client
    client.close()


@pytest.fixture(scope="module")
def cluster(place):
    with place.cluster() as made:
        yield made


def until(check, what):
    deadline = time.monotonic() + PATIENCE
    while not (seen := check()):
        assert time.monotonic() < deadline, f"{what}; last seen: {seen!r}"
        time.sleep(0.02)
    return seen


def claim(cluster, name, **spec):
    made = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    cluster.call("POST", f"{CORE}/persistentvolumeclaims", {"metadata": {"name": name}, "spec": made})


def bound(cluster, name):
    path = f"{CORE}/persistentvolumeclaims/{name}"

    def found():
        item = cluster.call("GET", path)
        return item if item["status"]["phase"] == "Bound" else None

    return until(found, f"{name} is bound")


def nothing_left(cluster, host):
    assert cluster.recycle() == ""
    assert cluster.differences() == []
    assert cluster.names("/api/v1/persistentvolumes") == []
    for path in ("/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"):
        until(lambda path=path: not host.call("GET", path)["items"], f"nothing at {path} of the host")


def test_a_claim_and_its_volume_go_with_the_lease(cluster, host):
    for _ in range(3):
        claim(cluster, "data")
        volume = bound(cluster, "data")["spec"]["volumeName"]
        there = host.call("GET", f"/api/v1/persistentvolumes/{volume}")
        here = cluster.call("GET", f"/api/v1/persistentvolumes/{volume}")
        assert here["spec"]["hostPath"]["path"] == there["spec"]["hostPath"]["path"]
        nothing_left(cluster, host)


def test_a_volume_that_its_user_retained_goes_with_the_lease(cluster, host):
    claim(cluster, "data")
    volume = bound(cluster, "data")["spec"]["volumeName"]
    path = f"/api/v1/persistentvolumes/{volume}"
    patch = {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}
    cluster.call("PATCH", path, patch, content_type="application/merge-patch+json")
    until(lambda: host.call("GET", path)["spec"]["persistentVolumeReclaimPolicy"] == "Retain", "the host retains it")
    cluster.call("DELETE", f"{CORE}/persistentvolumeclaims/data")
    until(lambda: cluster.call("GET", path)["status"]["phase"] == "Released", "it is released")
    nothing_left(cluster, host)


def test_a_claim_that_waits_for_its_first_consumer_is_bound_when_there_is_one(cluster, host):
    waiting = {
        "metadata": {"name": "waiting"},
        "provisioner": "kubernetes.io/host-path",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    host.call("POST", CLASSES, waiting)
    try:
        until(lambda: "waiting" in cluster.names(CLASSES), "the class is shown")
        claim(cluster, "data", storageClassName="waiting")
        container = {"name": "main", "image": "x"}
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [container], "volumes": [volume]}}
        cluster.call("POST", f"{CORE}/pods", pod)
        found = bound(cluster, "data")
        node = found["metadata"]["annotations"]["volume.kubernetes.io/selected-node"]
        running = until(lambda: cluster.call("GET", f"{CORE}/pods/p")["spec"].get("nodeName"), "the pod has a node")
        assert node == running
    finally:
        host.call("DELETE", f"{CLASSES}/waiting")
        until(lambda: "waiting" not in cluster.names(CLASSES), "the class is gone")
    nothing_left(cluster, host)


def test_an_ephemeral_volume_lives_as_long_as_its_pod(cluster, host):
    template = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    volume = {"name": "v", "ephemeral": {"volumeClaimTemplate": template}}
    spec = {"containers": [{"name": "main", "image": "x"}], "volumes": [volume], "terminationGracePeriodSeconds": 0}
    cluster.call("POST", f"{CORE}/pods", {"metadata": {"name": "p"}, "spec": spec})
    until(lambda: cluster.call("GET", f"{CORE}/pods/p")["status"]["phase"] == "Running", "the pod runs")
    bound(cluster, "p-v")
    cluster.call("DELETE", f"{CORE}/pods/p")
    until(lambda: not cluster.names("/api/v1/persistentvolumes"), "the volume went with the pod")
    until(lambda: not cluster.names("/api/v1/persistentvolumeclaims"), "the claim went with the pod")
    nothing_left(cluster, host)

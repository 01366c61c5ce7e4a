"""Hosts that fail in mid-suite, or lack what is asked for: what tests are told, and that those after them run."""

from __future__ import annotations

import json

import pytest
from kind_lives import docker

from pytest_vcluster.errors import Timeout, VClusterError

pytestmark = pytest.mark.timeout(900)

SECONDS = 240.0


def pod(name):
    container = {"name": "main", "image": "busybox:1.37", "command": ["sh", "-c", f"echo {name}; sleep 1000"]}
    metadata = {"name": name}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class TestApiServer:
    """The host's API server is killed; kubelet starts it again."""

    def test_a_test_that_is_under_way_goes_on_when_it_is_back(self, vcluster, vcluster_host, host_kubectl):
        vcluster.apply(pod("before"))
        vcluster.wait("pod/before", "Ready")
        [node, *_] = vcluster_host.nodes
        # Virtual clusters have API servers on the node, too.
        of_host = ("--name=^kube-apiserver$", "--label=io.kubernetes.pod.namespace=kube-system", "--quiet")
        [server] = docker("exec", node, "crictl", "ps", *of_host).split()
        docker("exec", node, "crictl", "stop", "--timeout=0", server)
        vcluster.apply(pod("after"))  # the virtual one answers all the time
        vcluster.wait("pod/after", "Ready", timeout=SECONDS)
        [new] = docker("exec", node, "crictl", "ps", *of_host).split()
        assert new != server
        for name in ("before", "after"):
            assert vcluster.logs(name) == f"{name}\n"
        vcluster.delete("pod/before", timeout=SECONDS)
        host_pods = json.loads(host_kubectl("get", "pods", "--namespace", vcluster.host.namespace, "--output", "json"))
        assert f"{vcluster.name}-0" in [found["metadata"]["name"] for found in host_pods["items"]]

    def test_the_next_one_has_a_cluster(self, vcluster):
        assert vcluster.get("pods") == []
        vcluster.apply(pod("next"))
        vcluster.wait("pod/next", "Ready", timeout=SECONDS)


UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def in_bytes(quantity: str) -> int:
    return int(quantity[:-2]) * UNITS[quantity[-2:]] if quantity[-2:] in UNITS else int(quantity)


@pytest.fixture
def full(vcluster_host, host_kubectl):
    """Somebody else's pod has asked for all the host's memory but a little; called, it is gone."""
    [name] = vcluster_host.nodes
    node = json.loads(host_kubectl("get", "node", name, "--output", "json"))
    pods = json.loads(host_kubectl("get", "pods", "--all-namespaces", "--output", "json"))["items"]
    asked = [
        in_bytes(container.get("resources", {}).get("requests", {}).get("memory", "0"))
        for found in pods
        if found["status"]["phase"] in ("Pending", "Running")
        for container in found["spec"]["containers"]
    ]
    free = in_bytes(node["status"]["allocatable"]["memory"]) - sum(asked)
    greedy = pod("greedy")
    greedy["spec"]["containers"][0]["resources"] = {"requests": {"memory": str(free - 64 * UNITS["Mi"])}}
    host_kubectl("apply", "--namespace", "default", "-f", "-", text=json.dumps(greedy))

    def free_again() -> None:
        host_kubectl("delete", "pod", "greedy", "--namespace", "default", "--ignore-not-found")

    host_kubectl("wait", "pod/greedy", "--namespace", "default", "--for=condition=PodScheduled", "--timeout=50s")
    yield free_again
    free_again()


def test_a_host_without_room_is_told_and_room_that_comes_is_used(vcluster, vcluster_factory, full):
    with (
        pytest.raises(Timeout, match=r"not scheduled: .*Insufficient memory"),
        vcluster_factory(isolation="fresh"),
    ):
        pass
    assert vcluster.get("namespaces", "default")
    full()
    with vcluster_factory(isolation="fresh") as another:
        assert another.get("namespaces", "default")


def test_a_version_whose_images_nobody_has_is_told_with_where_they_were_looked_for(vcluster, vcluster_factory):
    version = "v1.36.99"
    with pytest.raises(VClusterError) as told, vcluster_factory(version=version):
        pass
    said = str(told.value)
    assert f"registry.k8s.io/kube-apiserver:{version}: docker pull says" in said
    assert "Looked for on its nodes, in local Docker, and in the registry that the name says" in said
    assert vcluster.get("namespaces", "default")

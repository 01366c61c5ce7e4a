"""What a test does to its nodes holds for its pods, and is nothing to the next test."""

import time

import pytest

PATIENCE = 60
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "picky"},
    "spec": {
        "nodeSelector": {"mine": "1"},
        "tolerations": [{"key": "mine", "operator": "Exists"}],
        "containers": [{"name": "main", "image": "app:1"}],
    },
}


def nodes_of(vcluster):
    """The three nodes; in the first cluster of a run they come a moment later."""
    deadline = time.monotonic() + PATIENCE
    while len(nodes := vcluster.get("nodes")) < 3:
        assert time.monotonic() < deadline, nodes
        time.sleep(0.05)
    return nodes


def on_host(vcluster, name, holds):
    """Wait until the host's node is as the virtual one was set: its scheduler goes by that."""
    deadline = time.monotonic() + PATIENCE
    while not holds(node := vcluster.host.object("node", name)):
        assert time.monotonic() < deadline, node
        time.sleep(0.05)


def places_of(vcluster, count):
    """Where the pods run, once there are so many: a Deployment's status does not tell at once that it lost some."""
    deadline = time.monotonic() + PATIENCE
    while True:
        pods = vcluster.get("pods")
        running = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in pods if is_running(pod)}
        if len(running) == len(pods) == count:
            return running
        assert time.monotonic() < deadline, pods
        time.sleep(0.05)


def is_running(pod):
    return pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]


# In more leases than there are clusters, so that some are recycled.
@pytest.mark.parametrize("lease", range(5))
def test_nodes_are_fresh_and_what_is_set_on_them_holds(vcluster, lease):
    nodes = nodes_of(vcluster)
    for node in nodes:
        assert "mine" not in node["metadata"]["labels"], lease
        assert not node["spec"].get("unschedulable")
        assert "mine" not in [taint["key"] for taint in node["spec"].get("taints", ())]
    chosen, *others = (node["metadata"]["name"] for node in nodes)
    vcluster.kubectl("label", "node", chosen, "mine=1")
    vcluster.kubectl("taint", "node", chosen, "mine=1:NoSchedule")
    on_host(vcluster, chosen, lambda node: "mine" in [taint["key"] for taint in node["spec"].get("taints", ())])
    vcluster.kubectl("create", "deployment", "web", "--image=app:1", "--replicas=3")
    vcluster.kubectl("rollout", "status", "deployment/web", f"--timeout={PATIENCE}s")
    vcluster.kubectl("cordon", others[0])
    on_host(vcluster, others[0], lambda node: node["spec"].get("unschedulable"))
    vcluster.kubectl("drain", others[0], "--force", "--ignore-daemonsets", f"--timeout={PATIENCE}s")
    vcluster.apply(POD)
    vcluster.kubectl("wait", "pod/picky", "--for=condition=Ready", f"--timeout={PATIENCE}s")
    placed = places_of(vcluster, 4)
    assert placed.pop("picky") == chosen
    assert set(placed.values()) == {others[1]}

from pytest_vcluster.controlplane.addresses import Address
from pytest_vcluster.hosts.simulated_nodes import host_name, to_host
from pytest_vcluster.settings import NodeShape

SHAPE = NodeShape(
    name="gpu-1",
    labels={"tier": "gpu"},
    taints=({"key": "gpu", "value": "yes", "effect": "NoSchedule"},),
    capacity={"cpu": "8", "memory": "1Gi", "pods": "5"},
)


def node(cluster="vc-1", shape=SHAPE):
    kubelet = Address("127.64.0.1", 10250)
    return to_host(shape, cluster=cluster, number=7, version="v1.36.4", now="2026-11-01T00:00:00Z", kubelet=kubelet)


def test_a_node_belongs_to_one_cluster():
    assert node()["metadata"]["name"] == host_name("vc-1", "gpu-1") == "vc-1-gpu-1"
    assert node()["metadata"]["labels"]["vcluster-syncer/tenant"] == "vc-1"
    assert node("vc-2")["metadata"]["name"] != node("vc-1")["metadata"]["name"]


def test_a_node_is_what_was_asked_for():
    made = node()
    assert made["metadata"]["labels"]["tier"] == "gpu"
    assert made["metadata"]["labels"]["kubernetes.io/hostname"] == "gpu-1"
    assert made["spec"]["taints"] == [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
    assert made["status"]["allocatable"]["cpu"] == "8"


def test_a_label_can_not_move_a_node_to_another_cluster():
    stolen = NodeShape(name="n", labels={"vcluster-syncer/tenant": "vc-2"})
    assert node(shape=stolen)["metadata"]["labels"]["vcluster-syncer/tenant"] == "vc-1"


def test_a_node_tells_where_its_kubelet_is():
    status = node()["status"]
    assert {"type": "Kubelet", "address": "127.64.0.1"} in status["addresses"]
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}


def test_a_node_is_born_ready():
    conditions = {c["type"]: c["status"] for c in node()["status"]["conditions"]}
    assert conditions["Ready"] == "True"

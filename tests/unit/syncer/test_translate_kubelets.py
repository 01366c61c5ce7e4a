"""Where virtual nodes have their kubelet."""

from __future__ import annotations

from syncer_worlds import Worlds, tenant
from vcluster_syncer.model import NODES, Key
from vcluster_syncer.translate import kubelets

STATUS = {
    "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Kubelet", "address": "127.0.0.9"}],
    "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
}


def test_the_gateway_takes_the_place_of_the_hosts_kubelet() -> None:
    made = kubelets.to_virtual(STATUS, tenant(kubelet_address="127.64.0.1", kubelet_port=4711))
    assert made == {
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Kubelet", "address": "127.64.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 4711}},
    }


def test_without_a_gateway_no_kubelet_of_the_host_is_shown() -> None:
    assert kubelets.to_virtual(STATUS, tenant()) == {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}


def test_a_node_comes_to_rest_with_and_without_a_gateway() -> None:
    for changes in ({}, {"kubelet_address": "127.64.0.1", "kubelet_port": 4711}):
        for status in ({}, STATUS):
            worlds = Worlds(tenant(**changes))
            worlds.node("node-1", status=status)
            # As the API server stores it.
            worlds.here[NODES, Key("", "node-1")]["status"].setdefault(
                "daemonEndpoints", {"kubeletEndpoint": {"Port": 0}}
            )
            assert not worlds.settle(NODES, Key("", "node-1"))

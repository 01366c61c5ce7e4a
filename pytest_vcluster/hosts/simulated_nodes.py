"""The embedded host's nodes: every virtual cluster has its own, so nobody's pods, taints or cordons are a neighbour's.

The one rule: pure functions from a `NodeShape` to the Node object on the host. kwok plays the kubelet (see
`controlplane.kwok`); the syncer mirrors the node into its virtual cluster under the name the test knows.
"""

from __future__ import annotations

import platform
from typing import Any

from pytest_vcluster.controlplane import kwok, networks
from pytest_vcluster.controlplane.addresses import Address
from pytest_vcluster.controlplane.kube_apiserver import KUBELET_ADDRESS_TYPE
from pytest_vcluster.settings import NodeShape

TENANT_LABEL = "vcluster-syncer/tenant"
NAME_ANNOTATION = "vcluster-syncer/name"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def host_name(cluster: str, node: str) -> str:
    """The name of `cluster`'s node `node` on the host."""
    return f"{cluster}-{node}"


def to_host(shape: NodeShape, *, cluster: str, number: int, version: str, now: str, kubelet: Address) -> dict[str, Any]:
    """Make the host's Node for `shape`; `number` is unique in the run, `now` an RFC 3339 time.

    It is born Ready: the status that a kubelet would post a moment later is in it from the start.
    """
    architecture = _ARCHITECTURES.get(platform.machine(), "amd64")
    resources = {"ephemeral-storage": "1Ti", **shape.capacity}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": host_name(cluster, shape.name),
            "labels": {
                "kubernetes.io/arch": architecture,
                "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": shape.name,
                **shape.labels,
                TENANT_LABEL: cluster,
                kwok.NODE_LABEL: "true",
            },
            "annotations": {NAME_ANNOTATION: shape.name},
        },
        "spec": {
            "podCIDR": networks.pod_cidr(number),
            "podCIDRs": [networks.pod_cidr(number)],
            "taints": [dict(taint) for taint in shape.taints],
        },
        "status": {
            "phase": "Running",
            "capacity": resources,
            "allocatable": resources,
            "addresses": [
                {"type": "InternalIP", "address": networks.node_ip(number)},
                {"type": "Hostname", "address": shape.name},
                {"type": KUBELET_ADDRESS_TYPE, "address": kubelet.ip},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}},
            "conditions": [
                {
                    "type": kind,
                    "status": status,
                    "reason": reason,
                    "message": message,
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                }
                for kind, status, reason, message in _CONDITIONS
            ],
            "nodeInfo": {
                "architecture": architecture,
                "operatingSystem": "linux",
                "osImage": "simulated",
                "kernelVersion": "simulated",
                "containerRuntimeVersion": "kwok://simulated",
                "kubeletVersion": version,
                "kubeProxyVersion": version,
                "bootID": "",
                "machineID": "",
                "systemUUID": "",
            },
        },
    }

"""Nodes for a tenant that may not read the host's: made up, one for each that its pods are on.

A pod must be on a node that is there, or the virtual cluster ends it. So there is one under the name that the host pod
tells, as long as such a pod is on it; there is none before the first. Pods of DaemonSets don't count: they are there
because the node is, and would hold it for ever. The one rule: nothing of such a node is asked of the host. What it has
room for is a guess, and no scheduler of the virtual cluster can go by it: that is the host's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from vcluster_syncer import decide
from vcluster_syncer.model import (
    NODES,
    PODS,
    Action,
    CreateVirtual,
    DeleteVirtual,
    FakeNode,
    Key,
    Kind,
    Object,
    Reference,
    Tenant,
    UpdateVirtualStatus,
    World,
)
from vcluster_syncer.naming import digest
from vcluster_syncer.translate import kubelets, node_names

_ROOM: Final = {"cpu": "16", "ephemeral-storage": "100Gi", "memory": "32Gi", "pods": "110"}
_CONDITIONS: Final = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID"),
    ("Ready", "True", "KubeletReady"),
)
_UNKNOWN: Final = "unknown"


def _host_pods(name: str, world: World) -> Iterator[Object]:
    """Yield the host pods of the tenant on a node; not those of DaemonSets."""
    for virtual in world.virtual_list(PODS):
        own = virtual["metadata"]
        host = world.host(PODS, Key(own["namespace"], own["name"]))
        if host is not None and host["spec"].get("nodeName") == name:
            owners = own.get("ownerReferences") or ()
            if not any(owner.get("controller") and owner["kind"] == "DaemonSet" for owner in owners):
                yield host


def _told(key: Key, address: str | None, tenant: Tenant) -> dict[str, Any]:
    """Make the part of the status that may change."""
    addresses = [{"type": "InternalIP", "address": address}] if address else []
    return kubelets.to_virtual({"addresses": [*addresses, {"type": "Hostname", "address": key.name}]}, tenant)


def _info(key: Key, tenant: Tenant, fake: FakeNode) -> dict[str, str]:
    identity = digest(tenant.name, key.name)
    return {
        "architecture": fake.architecture,
        "bootID": identity,
        "containerRuntimeVersion": f"{_UNKNOWN}://",
        "kernelVersion": _UNKNOWN,
        "kubeProxyVersion": "",
        "kubeletVersion": fake.kubelet_version,
        "machineID": identity,
        "operatingSystem": "linux",
        "osImage": _UNKNOWN,
        "systemUUID": identity,
    }


def to_virtual(key: Key, address: str | None, world: World) -> dict[str, Any]:
    """Make up the virtual node of a name; `address` is its IP address, where that is known."""
    fake = world.tenant.fake_node or FakeNode()
    now = datetime.fromtimestamp(int(world.now), UTC).isoformat().replace("+00:00", "Z")
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    conditions = [
        {"type": kind, "status": status, "reason": reason, "message": reason, **times}
        for kind, status, reason in _CONDITIONS
    ]
    labels = {
        "kubernetes.io/arch": fake.architecture,
        "kubernetes.io/hostname": key.name,
        "kubernetes.io/os": "linux",
    }
    return {
        "apiVersion": NODES.api_version,
        "kind": NODES.kind,
        "metadata": {"name": key.name, "labels": labels, "annotations": {node_names.FAKE: key.name}},
        "spec": {},
        "status": {
            "allocatable": _ROOM,
            "capacity": _ROOM,
            "conditions": conditions,
            "nodeInfo": _info(key, world.tenant, fake),
            **_told(key, address, world.tenant),
        },
    }


def _follow(key: Key, virtual: Object, address: str | None, world: World) -> Sequence[Action]:
    before = virtual.get("status") or {}
    known = {one["type"]: one["address"] for one in before.get("addresses") or ()}
    wanted = {**before, **_told(key, address or known.get("InternalIP"), world.tenant)}
    if not decide.fields_patch(before, wanted, ("addresses", "daemonEndpoints")):
        return ()
    return (UpdateVirtualStatus(NODES, {**virtual, "status": wanted}),)


def reconcile(key: Key, virtual: Object | None, _host: Object | None, world: World) -> Sequence[Action]:
    """Have a node for as long as it is used; one that somebody else made is his, and what a user sets on ours is."""
    if virtual is not None and (not node_names.is_fake(virtual) or decide.is_terminating(virtual)):
        return ()
    used_by = next(_host_pods(key.name, world), None)
    if used_by is None:
        return () if virtual is None else (DeleteVirtual(NODES, key, virtual["metadata"]["uid"]),)
    address = (used_by.get("status") or {}).get("hostIP")
    if virtual is None:
        return (CreateVirtual(NODES, to_virtual(key, address, world)),)
    return _follow(key, virtual, address, world)


def _not_watched(_host: Object, _tenant: Tenant) -> Key | None:
    return None


def _wakes(_node: Object, world: World) -> Iterable[Reference]:
    # Pods whose host pod has a node wait for it to be there, to be bound to it.
    for pod in world.virtual_list(PODS):
        if not (pod.get("status") or {}).get("startTime"):
            yield PODS, Key(pod["metadata"]["namespace"], pod["metadata"]["name"])


KIND = Kind(resource=NODES, reconcile=reconcile, host_key=_not_watched, wakes=_wakes, watch_host=False)

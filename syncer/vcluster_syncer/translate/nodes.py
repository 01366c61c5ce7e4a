"""Nodes: the host's, mirrored into the virtual cluster.

Labels, taints, capacity and conditions are what the host's scheduler goes by, so DaemonSets, selectors and `kubectl
describe` mean what they say. The one rule is three-way: an annotation remembers what was mirrored; that follows the
host, and what users add in the virtual cluster stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    CSI_NODES,
    NODES,
    PODS,
    Action,
    CreateVirtual,
    DeleteVirtual,
    Key,
    Kind,
    Object,
    PatchVirtual,
    Reference,
    Rule,
    Tenant,
    UpdateVirtualStatus,
    World,
)
from vcluster_syncer.translate import kubelets, node_names
from vcluster_syncer.translate.scrub import messages

MIRRORED: Final = f"{ownership.PREFIX}mirrored"
"""Annotation of a virtual node: JSON, which labels, annotations and taints came from the host."""
_STATUS: Final = (
    "addresses",
    "allocatable",
    "capacity",
    "conditions",
    "daemonEndpoints",
    "features",
    "nodeInfo",
    "phase",
    "runtimeHandlers",
)
_FIXED: Final = ("podCIDR", "podCIDRs", "providerID")
# Put on by the virtual API server's admission, or by controllers that only the host has.
_CONDITION_TAINTS: Final = frozenset(
    f"node.kubernetes.io/{condition}"
    for condition in (
        "disk-pressure",
        "memory-pressure",
        "network-unavailable",
        "not-ready",
        "pid-pressure",
        "unreachable",
        "unschedulable",
    )
)


def _shown(pairs: Object, host: Object, name: str) -> dict[str, str]:
    there = host["metadata"]["name"]
    return {key: value.replace(there, name) for key, value in pairs.items() if not key.startswith(ownership.PREFIX)}


def _identity(taint: Object) -> tuple[str, str]:
    return taint["key"], taint["effect"]


def _metadata(key: Key, host: Object) -> dict[str, dict[str, str]]:
    labels = _shown(ownership.labels_of(host), host, key.name)
    annotations = _shown(ownership.annotations_of(host), host, key.name)
    mirrored = {
        "annotations": sorted(annotations),
        "labels": sorted(labels),
        "taints": sorted(_identity(taint) for taint in host["spec"].get("taints") or ()),
        "unschedulable": bool(host["spec"].get("unschedulable")),
    }
    annotations[MIRRORED] = json.dumps(mirrored, separators=(",", ":"), sort_keys=True)
    return {"labels": labels, "annotations": annotations}


def status_to_virtual(key: Key, host: Object, tenant: Tenant) -> dict[str, Any]:
    """Return what the virtual node's status takes from the host node's."""
    there, name = host.get("status") or {}, host["metadata"]["name"]

    def scrub(text: str) -> str:
        return text.replace(name, key.name)

    made = {field: messages(there[field], scrub) for field in _STATUS if field in there}
    if "addresses" in made:
        made["addresses"] = [{**one, "address": scrub(one["address"])} for one in made["addresses"]]
    return kubelets.to_virtual(made, tenant)


def to_virtual(key: Key, host: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the virtual node of a host node."""
    spec = {field: host["spec"][field] for field in (*_FIXED, "taints", "unschedulable") if host["spec"].get(field)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": key.name, **_metadata(key, host)},
        "spec": spec,
        "status": status_to_virtual(key, host, tenant),
    }


def _mirrored(virtual: Object) -> Mapping[str, Any]:
    try:
        found = json.loads(ownership.annotations_of(virtual).get(MIRRORED, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _taints(virtual: Object, host: Object, mirrored: Mapping[str, Any]) -> list[Object] | None:
    here = {_identity(taint): taint for taint in virtual["spec"].get("taints") or ()}
    there = {_identity(taint): taint for taint in host["spec"].get("taints") or ()}
    once = {(key, effect) for key, effect in mirrored.get("taints") or ()}
    added = {known: taint for known, taint in here.items() if known not in once and known[0] not in _CONDITION_TAINTS}
    wanted = {**added, **there}
    return None if wanted == here else list(wanted.values())


def _patch(key: Key, virtual: Object, host: Object) -> dict[str, Any]:
    mirrored, patch = _mirrored(virtual), dict[str, Any]()
    for field, wanted in _metadata(key, host).items():
        here = virtual["metadata"].get(field) or {}
        changed: dict[str, str | None] = {name: value for name, value in wanted.items() if here.get(name) != value}
        changed.update((name, None) for name in mirrored.get(field) or () if name in here and name not in wanted)
        if changed:
            patch.setdefault("metadata", {})[field] = changed
    spec: dict[str, Any] = {}
    if (taints := _taints(virtual, host, mirrored)) is not None:
        spec["taints"] = taints or None
    cordoned = bool(host["spec"].get("unschedulable"))
    # A cordon of the user's own is not lifted; one that came from the host is.
    if cordoned != bool(virtual["spec"].get("unschedulable")) and (cordoned or mirrored.get("unschedulable")):
        spec["unschedulable"] = cordoned or None
    return {**patch, "spec": spec} if spec else patch


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Mirror a host node; a virtual node that nobody mirrored is the user's."""
    if host is None:
        if virtual is None or decide.is_terminating(virtual) or MIRRORED not in ownership.annotations_of(virtual):
            return ()
        return (DeleteVirtual(NODES, key, virtual["metadata"]["uid"]),)
    if virtual is None:
        return () if decide.is_terminating(host) else (CreateVirtual(NODES, to_virtual(key, host, world.tenant)),)
    own = virtual["metadata"]
    if patch := _patch(key, virtual, host):
        # The status follows when the answer to this one is there: its resourceVersion is needed.
        return (PatchVirtual(NODES, key, own["uid"], patch, resource_version=own.get("resourceVersion", "")),)
    before = virtual.get("status") or {}
    status = {**before, **status_to_virtual(key, host, world.tenant)}
    return () if status == before else (UpdateVirtualStatus(NODES, {**virtual, "status": status}),)


def _wakes(item: Object, world: World) -> Iterable[Reference]:
    # Pods whose host pod has a node already wait for its mirror, to be bound to it.
    for pod in world.virtual_list(PODS):
        if not (pod.get("status") or {}).get("startTime"):
            yield PODS, Key(pod["metadata"]["namespace"], pod["metadata"]["name"])
    # So does what tells which drivers it has.
    yield CSI_NODES, Key("", item["metadata"]["name"])


KIND = Kind(
    resource=NODES, reconcile=reconcile, host_key=node_names.key_of, wakes=_wakes, host_rules=(Rule.to_read(NODES),)
)

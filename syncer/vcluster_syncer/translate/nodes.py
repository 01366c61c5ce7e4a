"""Nodes: the host's, mirrored into the virtual cluster.

Labels, taints, capacity and conditions are what the host's scheduler goes by, so DaemonSets, selectors and `kubectl
describe` mean what they say. The one rule is three-way: an annotation remembers what both sides had, so that a change
of either is known as such; what becomes of one that a user makes is in `node_settings`.
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
    PatchHost,
    PatchVirtual,
    Reference,
    Rule,
    Switch,
    Tenant,
    UpdateVirtualStatus,
    World,
)
from vcluster_syncer.translate import kubelets, node_names, node_settings
from vcluster_syncer.translate.scrub import messages

MIRRORED: Final = f"{ownership.PREFIX}mirrored"
"""Annotation of a virtual node: JSON, which annotations came from the host, and the settings both sides had."""
TOLD: Final = f"{ownership.PREFIX}told"
"""Annotation of a private host node: JSON, which settings the virtual cluster changed: to what, and what from."""
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


def _shown(pairs: Object, host: Object, name: str) -> dict[str, str]:
    there = host["metadata"]["name"]
    return {key: value.replace(there, name) for key, value in pairs.items() if not key.startswith(ownership.PREFIX)}


def _host_settings(key: Key, host: Object) -> node_settings.Settings:
    return node_settings.of(host, _shown(ownership.labels_of(host), host, key.name))


def _note(annotations: Mapping[str, str], settings: node_settings.Settings) -> str:
    noted = {"annotations": sorted(annotations), **settings.as_json()}
    return json.dumps(noted, separators=(",", ":"), sort_keys=True)


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
    spec = {field: host["spec"][field] for field in (*_FIXED, "unschedulable") if host["spec"].get(field)}
    settings, annotations = _host_settings(key, host), _shown(ownership.annotations_of(host), host, key.name)
    if taints := [*settings.taints.values(), *node_settings.conditions_of_host(host)]:
        spec["taints"] = taints
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": key.name,
            "labels": dict(settings.labels),
            "annotations": {**annotations, MIRRORED: _note(annotations, settings)},
        },
        "spec": spec,
        "status": status_to_virtual(key, host, tenant),
    }


def _remembered(node: Object, note: str) -> Mapping[str, Any]:
    try:
        found = json.loads(ownership.annotations_of(node).get(note, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _reset(key: Key, host: Object, tenant: Tenant) -> Iterable[Action]:
    told = node_settings.Settings.remembered(_remembered(host, TOLD))
    if not tenant.private_nodes or not any(told):
        return
    there, conditions = _host_settings(key, host), node_settings.condition_taints(host)
    patch = node_settings.patch(there, node_settings.untold(there, told), conditions, conditions)
    own = host["metadata"]
    patch = {**patch, "metadata": {**patch.get("metadata", {}), "annotations": {TOLD: None}}}
    yield PatchHost(NODES, own["name"], own["uid"], patch, resource_version=own.get("resourceVersion", ""))


def _annotations(
    key: Key, virtual: Object, host: Object, mirrored: Mapping[str, Any], noted: node_settings.Settings
) -> Object:
    here, wanted = ownership.annotations_of(virtual), _shown(ownership.annotations_of(host), host, key.name)
    wanted[MIRRORED] = _note(wanted, noted)
    changed: dict[str, str | None] = {name: value for name, value in wanted.items() if here.get(name) != value}
    changed.update((name, None) for name in mirrored.get("annotations") or () if name in here and name not in wanted)
    return changed


def _settle(key: Key, virtual: Object, host: Object, tenant: Tenant) -> Iterable[Action]:
    """Bring both nodes to the same settings: the host's first, as only then it may be noted that they are the same."""
    mirrored, told = _remembered(virtual, MIRRORED), node_settings.Settings.remembered(_remembered(host, TOLD))
    here, there = node_settings.of(virtual, ownership.labels_of(virtual)), _host_settings(key, host)
    wanted = node_settings.agreed(node_settings.Settings.remembered(mirrored), here, there, told, tenant)
    own_conditions = node_settings.condition_taints(host)
    if tenant.private_nodes and (patch := node_settings.patch(there, wanted, own_conditions, own_conditions)):
        note = json.dumps(node_settings.told(told, there, wanted).as_json(), separators=(",", ":"), sort_keys=True)
        patch = {**patch, "metadata": {**patch.get("metadata", {}), "annotations": {TOLD: note}}}
        own = host["metadata"]
        yield PatchHost(NODES, own["name"], own["uid"], patch, resource_version=own.get("resourceVersion", ""))
    conditions = node_settings.conditions_of_host(host)
    patch = node_settings.patch(here, wanted, conditions, node_settings.condition_taints(virtual))
    noted = wanted if tenant.private_nodes else there
    if annotations := _annotations(key, virtual, host, mirrored, noted):
        patch = {**patch, "metadata": {**patch.get("metadata", {}), "annotations": annotations}}
    if patch:
        own = virtual["metadata"]
        yield PatchVirtual(NODES, key, own["uid"], patch, resource_version=own.get("resourceVersion", ""))


def _status_action(virtual: Object, wanted: Object) -> Sequence[Action]:
    before = virtual.get("status") or {}
    status = {**before, **wanted}
    if _but_for_heartbeats(status) == _but_for_heartbeats(before):
        return ()
    return (UpdateVirtualStatus(NODES, {**virtual, "status": status}),)


def _but_for_heartbeats(status: Object) -> Object:
    # When a kubelet was heard last is told every few minutes, and would disturb every virtual cluster at rest.
    conditions = [dict(condition) for condition in status.get("conditions") or ()]
    for condition in conditions:
        condition.pop("lastHeartbeatTime", None)
    return {**status, "conditions": conditions}


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Mirror a host node; a virtual node that nobody mirrored is the user's."""
    if host is None:
        if virtual is None or decide.is_terminating(virtual) or MIRRORED not in ownership.annotations_of(virtual):
            return ()
        return (DeleteVirtual(NODES, key, virtual["metadata"]["uid"]),)
    if virtual is None:
        if decide.is_terminating(host):
            return ()
        # A node that is new in the virtual cluster, or is there again, is as it was before anybody there set anything.
        return tuple(_reset(key, host, world.tenant)) or (CreateVirtual(NODES, to_virtual(key, host, world.tenant)),)
    if actions := tuple(_settle(key, virtual, host, world.tenant)):
        # The status follows when the answer to these is there: the resourceVersion is needed.
        return actions
    return _status_action(virtual, status_to_virtual(key, host, world.tenant))


def _wakes(item: Object, world: World) -> Iterable[Reference]:
    # Pods whose host pod has a node already wait for its mirror, to be bound to it.
    for pod in world.virtual_list(PODS):
        if not (pod.get("status") or {}).get("startTime"):
            yield PODS, Key(pod["metadata"]["namespace"], pod["metadata"]["name"])
    # So does what tells which drivers it has.
    yield CSI_NODES, Key("", item["metadata"]["name"])


# To write to nodes takes a right that only who has nodes of his own may have, so it is none of these.
KIND = Kind(
    resource=NODES,
    reconcile=reconcile,
    host_key=node_names.key_of,
    wakes=_wakes,
    switch=Switch("from_host", "nodes", on=True),
    host_rules=(Rule.to_read(NODES),),
)

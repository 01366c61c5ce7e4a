"""Resource claims: made on the host, whose scheduler allocates devices for them; what it allocated comes back.

Claims that pods get from templates are made by the virtual cluster's own controller, so templates stay there. The one
rule: allocation is the host's word, and it names pods and nodes of the virtual cluster only. A reservation for
anybody else's pod is not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    PODS,
    RESOURCE_CLAIMS,
    Action,
    Key,
    Kind,
    Object,
    Rule,
    Switch,
    Tenant,
    UpdateVirtualStatus,
    World,
)
from vcluster_syncer.translate import carried, metadata, node_names
from vcluster_syncer.translate.scrub import messages, scrubber

_STATUS: Final = ("allocation", "devices", "reservedFor")


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host claim of a virtual one."""
    return {
        "apiVersion": RESOURCE_CLAIMS.api_version,
        "kind": RESOURCE_CLAIMS.kind,
        "metadata": metadata.to_host(key, virtual, tenant, RESOURCE_CLAIMS),
        "spec": virtual["spec"],
    }


# A claim's spec can't be changed, on either side.
_carry = carried.by(RESOURCE_CLAIMS, to_host, fields=())


def _reserved_for(host: Object, world: World) -> Iterator[dict[str, Any]]:
    for consumer in (host.get("status") or {}).get("reservedFor") or ():
        found = None
        if consumer.get("resource") == PODS.plural and not consumer.get("apiGroup"):
            found = world.host_named(PODS, consumer["name"])
        if found is None or found["metadata"]["uid"] != consumer["uid"]:
            continue
        key = ownership.virtual_key(found, world.tenant, kind=PODS.kind)
        virtual = world.virtual(PODS, key) if key is not None else None
        if virtual is not None:
            own = virtual["metadata"]
            yield {"resource": PODS.plural, "name": own["name"], "uid": own["uid"]}


def _of_nodes(value: Any, world: World) -> Any:
    """Put the virtual names of nodes into a node selector."""
    if isinstance(value, Mapping):
        return {name: _of_nodes(inside, world) for name, inside in value.items()}
    if isinstance(value, list):
        return [_of_nodes(inside, world) for inside in value]
    return (node_names.to_virtual(value, world) or value) if isinstance(value, str) else value


def _status(virtual: Object, host: Object, key: Key, world: World) -> dict[str, Any]:
    there = host.get("status") or {}
    scrub = scrubber(RESOURCE_CLAIMS, key, virtual=virtual, host=host, world=world)
    made = {name: messages(there[name], scrub) for name in _STATUS if there.get(name)}
    if allocation := made.get("allocation"):
        selector = _of_nodes(allocation.get("nodeSelector"), world)
        made["allocation"] = {**allocation, **({"nodeSelector": selector} if selector else {})}
    made.pop("reservedFor", None)
    if "allocation" in made and (consumers := list(_reserved_for(host, world))):
        made["reservedFor"] = consumers
    return made


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a claim, and show what the host allocated for it."""
    actions = _carry(key, virtual, host, world)
    if virtual is None or host is None or not ownership.carries(host, virtual) or decide.is_terminating(host):
        return actions
    before, wanted = virtual.get("status") or {}, _status(virtual, host, key, world)
    if not decide.fields_patch(before, wanted, _STATUS):
        return actions
    kept = {name: value for name, value in before.items() if name not in _STATUS}
    return (*actions, UpdateVirtualStatus(RESOURCE_CLAIMS, {**virtual, "status": {**kept, **wanted}}))


KIND = Kind(
    resource=RESOURCE_CLAIMS,
    reconcile=reconcile,
    host_key=carried.key_of(RESOURCE_CLAIMS),
    optional=True,
    switch=Switch("to_host", "resource_claims"),
    host_rules=(Rule.to_carry(RESOURCE_CLAIMS),),
)

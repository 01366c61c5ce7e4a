"""Services of the virtual cluster on the host, under names that others there know.

Beside the Service that carries a virtual one, whose name is made up and whose address is the virtual one's, stands
another for the neighbours: its name is chosen, its address the host's choice. The one rule: it is ours only where a
label and an annotation say so; whoever has the name already keeps it, and the user is told.

Keys of what was exported have no namespace and the host's name: they are what is looked at when a mapping is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    ENDPOINT_SLICES,
    SERVICES,
    Action,
    CreateHost,
    Key,
    Object,
    PatchHost,
    Reference,
    Refuse,
    Resource,
    Tenant,
    World,
)
from vcluster_syncer.naming import digest
from vcluster_syncer.translate import service_imports

_OURSELVES: Final = service_imports.OURSELVES
_LONGEST: Final = 46
"""Of a name, for a dash and a hash to have room behind it."""
_FIELDS: Final = (
    "externalName",
    "internalTrafficPolicy",
    "ipFamilyPolicy",
    "ports",
    "publishNotReadyAddresses",
    "selector",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
    "type",
)


def host_key(host: Object, tenant: Tenant) -> Key | None:
    """Return the key of what was exported, None for what was not by this tenant."""
    return None if ownership.exported_of(host, tenant) is None else Key("", host["metadata"]["name"])


def _metadata(key: Key, name: str, tenant: Tenant) -> dict[str, Any]:
    # None of the user's: what a label or an annotation of a Service steers on the host is decided once, by the copy.
    return {
        "name": name,
        "namespace": tenant.host_namespace,
        "labels": {ownership.TENANT_LABEL: tenant.name},
        "annotations": {ownership.EXPORTED: f"{key.namespace}/{key.name}"},
    }


def _to_host(key: Key, name: str, virtual: Object, tenant: Tenant, spec: Object) -> dict[str, Any]:
    made = {field: spec[field] for field in _FIELDS if field in spec}
    if made.get("type") != "ExternalName":
        made |= {"type": "ClusterIP", "ports": service_imports.ports_of(virtual)}
    if service_imports.is_headless(virtual):
        made["clusterIP"] = "None"
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(key, name, tenant), "spec": made}


def _kept(host: Object, wanted: Object, fields: Mapping[str, Sequence[str]], resource: Resource) -> Sequence[Action]:
    """Bring what was exported in line; `fields` are whose, of which part ("" for the object itself)."""
    patch: dict[str, Any] = {}
    for field in ("labels", "annotations"):
        theirs = host["metadata"].get(field) or {}
        if changed := {name: value for name, value in wanted["metadata"][field].items() if theirs.get(name) != value}:
            patch.setdefault("metadata", {})[field] = changed
    for part, names in fields.items():
        if not part:
            patch |= decide.fields_patch(host, wanted, names)
        elif changes := decide.fields_patch(host[part], wanted[part], names):
            patch[part] = changes
    own = host["metadata"]
    return (PatchHost(resource, own["name"], own["uid"], patch),) if patch else ()


def _ours(resource: Resource, name: str, world: World) -> Object | None:
    found = world.host_named(resource, name)
    return None if found is None or ownership.exported_of(found, world.tenant) is None else found


def _refuse(key: Key, name: str) -> Action:
    message = (
        f"Service {key.namespace}/{key.name} is not on the host as {name}: a Service that this virtual cluster did not "
        "make has that name there. It is left untouched; delete it on the host, or choose another name in to_host."
    )
    return Refuse(SERVICES, key, "NameTaken", message)


def carry(key: Key, virtual: Object | None, world: World, spec: Callable[[Object], Object]) -> Iterable[Action]:
    """Keep all for a virtual Service that the host knows by name; `spec` makes its spec there."""
    refused: list[Action] = []
    for export in world.tenant.exports:
        if export.key != key:
            continue
        host = _ours(SERVICES, export.name, world)
        if virtual is None:
            if host is not None and not decide.is_terminating(host):
                yield decide.redo(SERVICES, host)
            continue
        wanted = _to_host(key, export.name, virtual, world.tenant, spec(virtual))
        if host is None:
            is_taken = world.host_named(SERVICES, export.name) is not None
            if is_taken:
                refused.append(_refuse(key, export.name))
            else:
                yield CreateHost(SERVICES, wanted)
        elif decide.is_terminating(host):
            continue
        elif service_imports.is_headless(host) != service_imports.is_headless(wanted):
            yield decide.redo(SERVICES, host)
        else:
            yield from _kept(host, wanted, {"spec": _FIELDS}, SERVICES)
    # Whoever is told ends the pass.
    yield from refused


def end(key: Key, host: Object | None, world: World) -> Sequence[Action]:
    """Delete what was exported for a mapping, or a Service, that is no more."""
    if host is None or decide.is_terminating(host):
        return ()
    origin = ownership.exported_of(host, world.tenant)
    is_wanted = any(
        (one.name, one.key) == (key.name, origin) and world.virtual(SERVICES, one.key) is not None
        for one in world.tenant.exports
    )
    return () if is_wanted else (decide.redo(SERVICES, host),)


def wakes(item: Object, world: World) -> Iterable[Reference]:
    """Tell which virtual Services to look at when a Service of the host has changed that has the name of an export."""
    for one in world.tenant.exports:
        if one.name == item["metadata"]["name"]:
            yield SERVICES, one.key


def _slice_name(key: Key, name: str, tenant: Tenant) -> str:
    # After what it leads to, which is the same in all epochs.
    return f"{name[:_LONGEST]}-{digest(tenant.name, *key, name)}"


def carry_slice(key: Key, made: Object | None, service: Key, world: World) -> Iterable[Action]:
    """Have a slice that goes to the host as `made` (None: it does not) lead to what its Service is exported as, too."""
    for export in world.tenant.exports:
        if export.key.namespace != key.namespace:
            continue
        name = _slice_name(key, export.name, world.tenant)
        host = _ours(ENDPOINT_SLICES, name, world)
        if made is None or export.key != service:
            if host is not None and not decide.is_terminating(host):
                yield decide.redo(ENDPOINT_SLICES, host)
            continue
        marks = _metadata(key, name, world.tenant)
        marks["labels"] |= {service_imports.SERVICE_NAME: export.name, service_imports.MANAGED_BY: _OURSELVES}
        wanted = {**made, "metadata": marks}
        if host is None:
            yield CreateHost(ENDPOINT_SLICES, wanted)
        elif not decide.is_terminating(host):
            yield from _kept(host, wanted, {"": ("endpoints", "ports")}, ENDPOINT_SLICES)


def end_slice(key: Key, host: Object | None, world: World) -> Sequence[Action]:
    """Delete a slice for a mapping, or a virtual slice, that is no more."""
    if host is None or decide.is_terminating(host):
        return ()
    origin = ownership.exported_of(host, world.tenant)
    is_wanted = origin is not None and any(
        _slice_name(origin, one.name, world.tenant) == key.name and world.virtual(ENDPOINT_SLICES, origin) is not None
        for one in world.tenant.exports
    )
    return () if is_wanted else (decide.redo(ENDPOINT_SLICES, host),)

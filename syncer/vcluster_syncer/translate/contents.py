"""What ConfigMaps and Secrets have in common: they are on the host while somebody uses them, or come from it.

The one rule: content flows one way. Of the virtual cluster's own the host has copies; what an import shows is the
host's, and what a user changes of it is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import NAMESPACES, Action, Key, Later, Object, Resource, World
from vcluster_syncer.translate import metadata, mirror

ALWAYS: Final = f"{ownership.PREFIX}sync"
"""Annotation of a virtual object: with `always`, it is on the host though nobody there uses it that we know of."""
_ROOT_CA: Final = "kube-root-ca.crt"
_PATIENCE: Final = 2.0


def _is_wanted(resource: Resource, key: Key, virtual: Object, world: World) -> bool:
    return ownership.annotations_of(virtual).get(ALWAYS) == "always" or any(True for _ in world.users(resource, key))


def carry(
    resource: Resource,
    key: Key,
    virtual: Object | None,
    host: Object | None,
    world: World,
    *,
    fields: Sequence[str],
    fixed: Callable[[Object], object],
    to_host: Callable[[Object], Object],
) -> Sequence[Action]:
    """Carry an object while somebody uses it; what `fixed` returns of an object can't be changed in place."""
    if virtual is not None and not _is_wanted(resource, key, virtual, world):
        virtual = None
    if virtual is not None and host is not None and ownership.carries(host, virtual):
        wanted, content = to_host(virtual), [field for field in fields if field != "immutable"]
        is_sealed = host.get("immutable") and decide.fields_patch(host, wanted, [*content, "immutable"])
        if (is_sealed or fixed(host) != fixed(wanted)) and not decide.is_terminating(host):
            # Its virtual one was put back to an earlier state, or somebody sealed the copy.
            return (decide.redo(resource, host),)
    return decide.carry(
        resource,
        key,
        virtual,
        host,
        world,
        to_host=to_host,
        difference=lambda found, wanted: {
            **metadata.difference(found, wanted),
            **decide.fields_patch(found, wanted, fields),
        },
    )


def _is_a_copy(host: Object) -> bool:
    """Tell whether something was carried to the host, so that it is not the host's, nor meant to be found there."""
    return ownership.TENANT_LABEL in ownership.labels_of(host) and ownership.EXPORTED not in ownership.annotations_of(
        host
    )


def shown_of(resource: Resource, key: Key, world: World) -> Object | None:
    """Return the host object that an import of the tenant shows at a key."""
    for one in world.tenant.imports:
        name = one.shows(key) if one.resource == resource else None
        if name is None or (one.from_name == "*" and name == _ROOT_CA):
            # Every namespace has its own root certificates, put there by its own cluster.
            continue
        found = world.imported(resource, one.from_namespace, name)
        return None if found is None or _is_a_copy(found) else found
    return None


def awaiting_namespace(key: Key, world: World) -> Sequence[Action] | None:
    """Tell what is to be done instead of showing something in a namespace, None where nothing is in the way."""
    namespace = world.virtual(NAMESPACES, Key("", key.namespace))
    if namespace is None:
        return (Later(_PATIENCE, f"there is no namespace {key.namespace} for what is imported"),)
    return () if decide.is_terminating(namespace) else None


def follow(
    resource: Resource,
    key: Key,
    virtual: Object | None,
    world: World,
    *,
    fields: Sequence[str],
    fixed: Callable[[Object], object],
    shown: Callable[[Object], Object] = lambda found: found,
) -> Sequence[Action]:
    """Show in the virtual cluster what an import names; `shown` makes of a host object what is."""
    if not world.tenant.imports and (virtual is None or mirror.MIRRORED not in ownership.annotations_of(virtual)):
        return ()
    found = shown_of(resource, key, world)
    if virtual is None and found is not None:
        patience = awaiting_namespace(key, world)
        if patience is not None:
            return patience

    def sealed(item: Object) -> object:
        return fixed(item), [item.get(field) or None for field in fields] if item.get("immutable") else None

    host = None if found is None else shown(found)
    return mirror.follow(resource, key, virtual, host, fields=fields, fixed=sealed)

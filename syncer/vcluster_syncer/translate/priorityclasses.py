"""Priority classes: the tenant's own, carried, or the host's, mirrored; never both.

The one rule: a tenant's class comes into force for pods that name it, and outranks nothing of the host's own. It is
never the host's default, it stays below what the host reserves for its own components, and `system-` classes, which
every cluster has, are not carried.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    PRIORITY_CLASSES,
    Action,
    Key,
    Kind,
    Object,
    Reference,
    Rule,
    Switch,
    Tenant,
    World,
)
from vcluster_syncer.translate import metadata, mirror

_HIGHEST: Final = 1_000_000_000
"""The API allows users no more; what is above is for the system's own classes."""
_FIELDS: Final = ("value", "globalDefault", "description", "preemptionPolicy")


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host class of a virtual one."""
    made = {name: virtual[name] for name in ("description", "preemptionPolicy") if name in virtual}
    return {
        "apiVersion": PRIORITY_CLASSES.api_version,
        "kind": PRIORITY_CLASSES.kind,
        "metadata": metadata.to_host(key, virtual, tenant, PRIORITY_CLASSES),
        "value": min(virtual["value"], _HIGHEST),
        "globalDefault": False,
        **made,
    }


def _difference(host: Object, wanted: Object) -> Object:
    return {**metadata.difference(host, wanted), **decide.fields_patch(host, wanted, ("description",))}


def carry(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a class of the virtual cluster."""
    return decide.carry(
        PRIORITY_CLASSES,
        key,
        None if key.name.startswith(mirror.SYSTEMS) else virtual,
        host,
        world,
        to_host=lambda wanted: to_host(key, wanted, world.tenant),
        difference=_difference,
    )


def mirrored(key: Key, virtual: Object | None, host: Object | None, _world: World) -> Sequence[Action]:
    """Mirror a class of the host; `system-` classes the virtual cluster has itself, under the same names."""
    return mirror.follow(
        PRIORITY_CLASSES,
        key,
        virtual,
        host,
        fields=_FIELDS,
        fixed=lambda item: (item.get("value"), item.get("preemptionPolicy")),
    )


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=PRIORITY_CLASSES.kind)


def _mirrored_key(host: Object, tenant: Tenant) -> Key | None:
    return None if host["metadata"]["name"].startswith(mirror.SYSTEMS) else mirror.key_of(host, tenant)


def _wakes(item: Object, world: World) -> Iterable[Reference]:
    # Pods wait for their class to be on the host.
    key = ownership.virtual_key(item, world.tenant, kind=PRIORITY_CLASSES.kind)
    return () if key is None else world.users(PRIORITY_CLASSES, key)


TO_HOST = Kind(
    resource=PRIORITY_CLASSES,
    reconcile=carry,
    host_key=_host_key,
    wakes=_wakes,
    switch=Switch("to_host", "priority_classes"),
    host_rules=(Rule.to_carry(PRIORITY_CLASSES),),
)
FROM_HOST = Kind(
    resource=PRIORITY_CLASSES,
    reconcile=mirrored,
    host_key=_mirrored_key,
    switch=Switch("from_host", "priority_classes"),
    host_rules=(Rule.to_read(PRIORITY_CLASSES),),
)

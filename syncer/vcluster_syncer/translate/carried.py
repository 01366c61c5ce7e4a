"""Kinds that are only carried: made from the virtual object alone, and nothing of the host's comes back.

The one rule: such a kind says what its host object looks like and which of its fields are the virtual cluster's;
everything else about it is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import Action, Key, Object, Resource, Tenant, World
from vcluster_syncer.translate import metadata

ToHost = Callable[[Key, Object, Tenant], Mapping[str, Any]]
Reconcile = Callable[[Key, Object | None, Object | None, World], Sequence[Action]]


def by(resource: Resource, to_host: ToHost, *, fields: Sequence[str] = ("spec",)) -> Reconcile:
    """Make the `Kind.reconcile` that carries what `to_host` makes, and keeps its metadata and `fields` up to date."""

    def difference(host: Object, wanted: Object) -> Object:
        return {**metadata.difference(host, wanted), **decide.fields_patch(host, wanted, fields)}

    def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
        return decide.carry(
            resource,
            key,
            virtual,
            host,
            world,
            to_host=lambda wanted: to_host(key, wanted, world.tenant),
            difference=difference,
        )

    return reconcile


def key_of(resource: Resource) -> Callable[[Object, Tenant], Key | None]:
    """Make the `Kind.host_key` of objects that the syncer made."""
    return lambda host, tenant: ownership.virtual_key(host, tenant, kind=resource.kind)

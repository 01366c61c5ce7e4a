"""Secrets: on the host while a pod there uses them, and not longer.

A Secret of type service-account-token becomes Opaque: on the host its ServiceAccount does not exist, and the host's
controllers would delete it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import SECRETS, Action, Key, Kind, Object, Rule, Tenant, World
from vcluster_syncer.translate import metadata

_CONTENT = ("data", "immutable")
_TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 - the name of a type


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host Secret of a virtual one."""
    kind = virtual.get("type") or "Opaque"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata.to_host(key, virtual, tenant, SECRETS),
        "type": "Opaque" if kind == _TOKEN_TYPE else kind,
        **{name: virtual[name] for name in _CONTENT if name in virtual},
    }


def _difference(host: Object, wanted: Object) -> Object:
    return {**metadata.difference(host, wanted), **decide.fields_patch(host, wanted, _CONTENT)}


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a Secret while somebody uses it."""
    return decide.carry(
        SECRETS,
        key,
        virtual if any(True for _ in world.users(SECRETS, key)) else None,
        host,
        world,
        to_host=lambda wanted: to_host(key, wanted, world.tenant),
        difference=_difference,
    )


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=SECRETS.kind)


KIND = Kind(resource=SECRETS, reconcile=reconcile, host_key=_host_key, host_rules=(Rule.to_carry(SECRETS),))

"""Secrets: on the host while a pod there uses them, and not longer; from the host where an import says so.

A Secret of type service-account-token becomes Opaque: on the other side its ServiceAccount does not exist, and the
controllers there would delete it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcluster_syncer import ownership
from vcluster_syncer.model import SECRETS, Action, Key, Kind, Object, Rule, Tenant, World
from vcluster_syncer.translate import contents, metadata

_CONTENT = ("data", "immutable")
_OPAQUE = "Opaque"
_TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 - the name of a type


def _type(item: Object) -> str:
    kind = item.get("type") or _OPAQUE
    return _OPAQUE if kind == _TOKEN_TYPE else kind


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host Secret of a virtual one."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata.to_host(key, virtual, tenant, SECRETS),
        "type": _type(virtual),
        **{name: virtual[name] for name in _CONTENT if name in virtual},
    }


def _shown(host: Object) -> Object:
    return {**host, "type": _type(host)}


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a Secret while somebody uses it, and show one that is imported."""
    carried = contents.carry(
        SECRETS,
        key,
        virtual,
        host,
        world,
        fields=_CONTENT,
        fixed=_type,
        to_host=lambda wanted: to_host(key, wanted, world.tenant),
    )
    shown = contents.follow(SECRETS, key, virtual, world, fields=(*_CONTENT, "type"), fixed=_type, shown=_shown)
    return (*carried, *shown)


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=SECRETS.kind)


KIND = Kind(resource=SECRETS, reconcile=reconcile, host_key=_host_key, host_rules=(Rule.to_carry(SECRETS),))

"""ConfigMaps: on the host while a pod there uses them, and not longer.

That holds for `kube-root-ca.crt`, too: pods must trust the virtual API server, so the virtual one is carried and the
host's own of that name is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import CONFIGMAPS, Action, Key, Kind, Object, Rule, Tenant, World
from vcluster_syncer.translate import metadata

_CONTENT = ("data", "binaryData", "immutable")


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host ConfigMap of a virtual one."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata.to_host(key, virtual, tenant, CONFIGMAPS),
        **{name: virtual[name] for name in _CONTENT if name in virtual},
    }


def _difference(host: Object, wanted: Object) -> Object:
    return {**metadata.difference(host, wanted), **decide.fields_patch(host, wanted, _CONTENT)}


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a ConfigMap while somebody uses it."""
    return decide.carry(
        CONFIGMAPS,
        key,
        virtual if any(True for _ in world.users(CONFIGMAPS, key)) else None,
        host,
        world,
        to_host=lambda wanted: to_host(key, wanted, world.tenant),
        difference=_difference,
    )


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=CONFIGMAPS.kind)


KIND = Kind(resource=CONFIGMAPS, reconcile=reconcile, host_key=_host_key, host_rules=(Rule.to_carry(CONFIGMAPS),))

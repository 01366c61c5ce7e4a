"""ConfigMaps: on the host while a pod there uses them, and not longer; from the host where an import says so.

That holds for `kube-root-ca.crt`, too: pods must trust the virtual API server, so the virtual one is carried and the
host's own of that name is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcluster_syncer import ownership
from vcluster_syncer.model import CONFIGMAPS, Action, Key, Kind, Object, Rule, Tenant, World
from vcluster_syncer.translate import contents, metadata

_CONTENT = ("data", "binaryData", "immutable")


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host ConfigMap of a virtual one."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata.to_host(key, virtual, tenant, CONFIGMAPS),
        **{name: virtual[name] for name in _CONTENT if name in virtual},
    }


def _fixed(_item: Object) -> object:
    return None


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a ConfigMap while somebody uses it, and show one that is imported."""
    carried = contents.carry(
        CONFIGMAPS,
        key,
        virtual,
        host,
        world,
        fields=_CONTENT,
        fixed=_fixed,
        to_host=lambda wanted: to_host(key, wanted, world.tenant),
    )
    return (*carried, *contents.follow(CONFIGMAPS, key, virtual, world, fields=_CONTENT, fixed=_fixed))


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=CONFIGMAPS.kind)


KIND = Kind(resource=CONFIGMAPS, reconcile=reconcile, host_key=_host_key, host_rules=(Rule.to_carry(CONFIGMAPS),))

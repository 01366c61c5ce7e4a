"""CSI storage capacities: how much room there is where, for schedulers that run in the virtual cluster.

Drivers keep them in a namespace of their own. The one rule: they are shown where an import of the tenant says, because
nobody else knows which namespace that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vcluster_syncer.model import CSI_STORAGE_CAPACITIES, Action, Key, Kind, Object, Switch, Tenant, World
from vcluster_syncer.translate import contents

_FIXED: Final = ("nodeTopology", "storageClassName")
_FIELDS: Final = (*_FIXED, "capacity", "maximumVolumeSize")


def _fixed(item: Object) -> object:
    return [item.get(field) or None for field in _FIXED]


def reconcile(key: Key, virtual: Object | None, _host: Object | None, world: World) -> Sequence[Action]:
    """Show what is imported."""
    return contents.follow(CSI_STORAGE_CAPACITIES, key, virtual, world, fields=_FIELDS, fixed=_fixed)


def _host_key(_host: Object, _tenant: Tenant) -> Key | None:
    return None


KIND = Kind(
    resource=CSI_STORAGE_CAPACITIES,
    reconcile=reconcile,
    host_key=_host_key,
    watch_host=False,
    switch=Switch("from_host", "csi_storage_capacities"),
)

"""Storage classes: the host's, so that a claim of the virtual cluster names one that somebody serves.

The default class is one of them, so a claim without a class gets the host's default when it is made, as on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vcluster_syncer.model import STORAGE_CLASSES, Action, Key, Kind, Object, Rule, Switch, World
from vcluster_syncer.translate import mirror

_FIXED: Final = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
_FIELDS: Final = (*_FIXED, "allowVolumeExpansion", "allowedTopologies", "mountOptions")


def _fixed(item: Object) -> object:
    # Empty and missing are stored alike.
    return [item.get(field) or None for field in _FIXED]


def reconcile(key: Key, virtual: Object | None, host: Object | None, _world: World) -> Sequence[Action]:
    """Mirror a class."""
    return mirror.follow(STORAGE_CLASSES, key, virtual, host, fields=_FIELDS, fixed=_fixed)


KIND = Kind(
    resource=STORAGE_CLASSES,
    reconcile=reconcile,
    host_key=mirror.key_of,
    switch=Switch("from_host", "storage_classes"),
    host_rules=(Rule.to_read(STORAGE_CLASSES),),
)

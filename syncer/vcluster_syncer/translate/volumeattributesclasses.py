"""Volume attributes classes: the host's, so that a claim of the virtual cluster names one that somebody serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vcluster_syncer.model import VOLUME_ATTRIBUTES_CLASSES, Action, Key, Kind, Object, Rule, Switch, World
from vcluster_syncer.translate import mirror

_FIELDS: Final = ("driverName", "parameters")


def _fixed(item: Object) -> object:
    return [item.get(field) or None for field in _FIELDS]


def reconcile(key: Key, virtual: Object | None, host: Object | None, _world: World) -> Sequence[Action]:
    """Mirror a class."""
    return mirror.follow(VOLUME_ATTRIBUTES_CLASSES, key, virtual, host, fields=_FIELDS, fixed=_fixed)


KIND = Kind(
    resource=VOLUME_ATTRIBUTES_CLASSES,
    reconcile=reconcile,
    host_key=mirror.key_of,
    switch=Switch("from_host", "volume_attributes_classes"),
    host_rules=(Rule.to_read(VOLUME_ATTRIBUTES_CLASSES),),
)

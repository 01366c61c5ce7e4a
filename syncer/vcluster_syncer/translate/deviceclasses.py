"""Device classes: the host's, so that a claim of the virtual cluster names one that a driver serves."""

from __future__ import annotations

from collections.abc import Sequence

from vcluster_syncer.model import DEVICE_CLASSES, Action, Key, Kind, Object, Rule, Switch, World
from vcluster_syncer.translate import mirror


def _nothing(_item: Object) -> object:
    return None


def reconcile(key: Key, virtual: Object | None, host: Object | None, _world: World) -> Sequence[Action]:
    """Mirror a class."""
    return mirror.follow(DEVICE_CLASSES, key, virtual, host, fields=("spec",), fixed=_nothing)


KIND = Kind(
    resource=DEVICE_CLASSES,
    reconcile=reconcile,
    host_key=mirror.key_of,
    optional=True,
    switch=Switch("from_host", "device_classes"),
    host_rules=(Rule.to_read(DEVICE_CLASSES),),
)

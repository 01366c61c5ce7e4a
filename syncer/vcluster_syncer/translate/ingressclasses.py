"""Ingress classes: the host's, so that a user of the virtual cluster names one that somebody serves."""

from __future__ import annotations

from collections.abc import Sequence

from vcluster_syncer.model import INGRESS_CLASSES, Action, Key, Kind, Object, Rule, Switch, World
from vcluster_syncer.translate import mirror


def _controller(item: Object) -> object:
    return (item.get("spec") or {}).get("controller")


def reconcile(key: Key, virtual: Object | None, host: Object | None, _world: World) -> Sequence[Action]:
    """Mirror a class."""
    return mirror.follow(INGRESS_CLASSES, key, virtual, host, fields=("spec",), fixed=_controller)


KIND = Kind(
    resource=INGRESS_CLASSES,
    reconcile=reconcile,
    host_key=mirror.key_of,
    switch=Switch("from_host", "ingress_classes"),
    host_rules=(Rule.to_read(INGRESS_CLASSES),),
)

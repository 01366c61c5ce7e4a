"""Runtime classes: the host's, because it is its nodes that have the runtimes."""

from __future__ import annotations

from collections.abc import Sequence

from vcluster_syncer.model import RUNTIME_CLASSES, Action, Key, Kind, Object, Rule, Switch, World
from vcluster_syncer.translate import mirror

_FIELDS = ("handler", "overhead", "scheduling")


def reconcile(key: Key, virtual: Object | None, host: Object | None, _world: World) -> Sequence[Action]:
    """Mirror a class."""
    return mirror.follow(RUNTIME_CLASSES, key, virtual, host, fields=_FIELDS, fixed=lambda item: item.get("handler"))


KIND = Kind(
    resource=RUNTIME_CLASSES,
    reconcile=reconcile,
    host_key=mirror.key_of,
    switch=Switch("from_host", "runtime_classes"),
    host_rules=(Rule.to_read(RUNTIME_CLASSES),),
)

"""CSI drivers: the host's, for whoever looks up in the virtual cluster what a driver can do."""

from __future__ import annotations

from collections.abc import Sequence

from vcluster_syncer.model import CSI_DRIVERS, Action, Key, Kind, Object, Rule, Switch, World
from vcluster_syncer.translate import mirror


def _fixed(item: Object) -> object:
    spec = item.get("spec") or {}
    return [spec.get("attachRequired"), spec.get("volumeLifecycleModes")]


def reconcile(key: Key, virtual: Object | None, host: Object | None, _world: World) -> Sequence[Action]:
    """Mirror a driver."""
    return mirror.follow(CSI_DRIVERS, key, virtual, host, fields=("spec",), fixed=_fixed)


KIND = Kind(
    resource=CSI_DRIVERS,
    reconcile=reconcile,
    host_key=mirror.key_of,
    switch=Switch("from_host", "csi_drivers"),
    host_rules=(Rule.to_read(CSI_DRIVERS),),
)

"""Gateway classes: the host's, because its controllers serve the gateways."""

from __future__ import annotations

from collections.abc import Sequence

from vcluster_syncer.model import GATEWAY_CLASSES, Action, Key, Kind, Object, Rule, Switch, UpdateVirtualStatus, World
from vcluster_syncer.translate import mirror


def _controller(item: Object) -> object:
    return (item.get("spec") or {}).get("controllerName")


def reconcile(key: Key, virtual: Object | None, host: Object | None, _world: World) -> Sequence[Action]:
    """Mirror a class, and whether a controller has accepted it."""
    actions = mirror.follow(GATEWAY_CLASSES, key, virtual, host, fields=("spec",), fixed=_controller)
    if actions or virtual is None or host is None or not mirror.is_mirrored(virtual):
        return actions
    status = host.get("status") or {}
    if status == (virtual.get("status") or {}):
        return ()
    return (UpdateVirtualStatus(GATEWAY_CLASSES, {**virtual, "status": status}),)


KIND = Kind(
    resource=GATEWAY_CLASSES,
    reconcile=reconcile,
    host_key=mirror.key_of,
    optional=True,
    switch=Switch("from_host", "gateway_classes"),
    host_rules=(Rule.to_read(GATEWAY_CLASSES),),
)

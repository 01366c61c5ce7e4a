"""CSI nodes: which drivers the nodes of a tenant have, for schedulers that run in the virtual cluster.

The key is the virtual node's name. The one rule: only nodes that the tenant sees have one, and go by the name they have
there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from vcluster_syncer.model import CSI_NODES, Action, Key, Kind, Object, Reference, Rule, Switch, Tenant, World
from vcluster_syncer.translate import mirror, node_names


def _shown(key: Key, host: Object) -> dict[str, Any]:
    there = host["metadata"]["name"]
    drivers = [
        {**driver, "nodeID": key.name} if driver.get("nodeID") == there else driver
        for driver in (host.get("spec") or {}).get("drivers") or ()
    ]
    return {**host, "spec": {"drivers": drivers}}


def _fixed(_item: Object) -> object:
    return None


def reconcile(key: Key, virtual: Object | None, _host: Object | None, world: World) -> Sequence[Action]:
    """Mirror what a node of the tenant has; `key` as the host's name of a node means nothing."""
    node = node_names.to_host(key.name, world)
    host = world.host_named(CSI_NODES, node) if node else None
    found = None if host is None else _shown(key, host)
    return mirror.follow(CSI_NODES, key, virtual, found, fields=("spec",), fixed=_fixed)


def _host_key(host: Object, _tenant: Tenant) -> Key | None:
    # Whose node it is its name does not tell; `reconcile` looks.
    return Key("", host["metadata"]["name"])


def _wakes(item: Object, world: World) -> Iterable[Reference]:
    if name := node_names.to_virtual(item["metadata"]["name"], world):
        yield CSI_NODES, Key("", name)


KIND = Kind(
    resource=CSI_NODES,
    reconcile=reconcile,
    host_key=_host_key,
    wakes=_wakes,
    switch=Switch("from_host", "csi_nodes"),
    host_rules=(Rule.to_read(CSI_NODES),),
)

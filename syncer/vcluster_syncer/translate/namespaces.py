"""Namespaces: watched, never carried.

The host has one namespace for a tenant. The other kinds ask the world which virtual namespaces there are, what their
labels say (pod affinity selects by them) and whether one is being deleted.
"""

from __future__ import annotations

from collections.abc import Sequence

from vcluster_syncer.model import NAMESPACES, Action, Key, Kind, Object, Tenant, World


def reconcile(_key: Key, _virtual: Object | None, _host: Object | None, _world: World) -> Sequence[Action]:
    """Leave a namespace alone."""
    return ()


def _host_key(_host: Object, _tenant: Tenant) -> Key | None:
    return None


KIND = Kind(resource=NAMESPACES, reconcile=reconcile, host_key=_host_key, watch_host=False)

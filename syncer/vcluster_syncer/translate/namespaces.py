"""Namespaces: watched, never carried.

The host has one namespace for a tenant. The other kinds ask the world which virtual namespaces there are, what their
labels say (pod affinity and network policies select by them, so host pods have them) and whether one is being deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vcluster_syncer.model import (
    GRPC_ROUTES,
    HTTP_ROUTES,
    NAMESPACES,
    PODS,
    Action,
    Key,
    Kind,
    Object,
    Reference,
    Tenant,
    World,
)


def reconcile(_key: Key, _virtual: Object | None, _host: Object | None, _world: World) -> Sequence[Action]:
    """Leave a namespace alone."""
    return ()


def _host_key(_host: Object, _tenant: Tenant) -> Key | None:
    return None


def _wakes(namespace: Object, world: World) -> Iterable[Reference]:
    # Host pods tell the labels of their namespace, and gateways admit routes by them.
    for resource in (PODS, HTTP_ROUTES, GRPC_ROUTES):
        if world.kind(resource) is not None:
            for item in world.virtual_list(resource, namespace["metadata"]["name"]):
                yield resource, Key(item["metadata"]["namespace"], item["metadata"]["name"])


KIND = Kind(resource=NAMESPACES, reconcile=reconcile, host_key=_host_key, wakes=_wakes, watch_host=False)

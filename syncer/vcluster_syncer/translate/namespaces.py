"""Namespaces: watched always, and carried where each of a tenant's has a host namespace of its own.

The other kinds ask the world which virtual namespaces there are, what their labels say (pod affinity and network
policies select by them, so host pods have them) and whether one is being deleted. The one rule for what is carried: a
host namespace has nothing of the user's on it. Labels and annotations of a namespace steer the host's own admission
and scheduler, so the user's are told in labels of ours only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    GRPC_ROUTES,
    HTTP_ROUTES,
    NAMESPACES,
    PODS,
    Action,
    CreateHost,
    Key,
    Kind,
    Object,
    PatchHost,
    Reference,
    Rule,
    Switch,
    Tenant,
    World,
)
from vcluster_syncer.naming import host_namespace_of
from vcluster_syncer.translate import labels, metadata


def reconcile(_key: Key, _virtual: Object | None, _host: Object | None, _world: World) -> Sequence[Action]:
    """Leave a namespace alone."""
    return ()


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host namespace of a virtual one."""
    told = labels.of_namespace(virtual)
    marks, annotations = ownership.marks(key, virtual, tenant, kind=NAMESPACES.kind)
    annotations[metadata.CARRIED] = json.dumps({"annotations": [], "labels": sorted(told)}, separators=(",", ":"))
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": host_namespace_of(tenant, key.name),
            "labels": {**told, **marks, ownership.NAMESPACE_LABEL: key.name},
            "annotations": annotations,
        },
    }


def carry(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a namespace, where the tenant is to have one for each.

    One that was made anew under its name keeps its host namespace: what was in the old one goes by itself.
    """
    if not world.tenant.each_namespace or (host is not None and decide.is_terminating(host)):
        return ()
    if virtual is None:
        return () if host is None else (decide.redo(NAMESPACES, host),)
    wanted = to_host(key, virtual, world.tenant)
    name = wanted["metadata"]["name"]
    if host is not None:
        patch = metadata.difference(host, wanted)
        return (PatchHost(NAMESPACES, name, host["metadata"]["uid"], patch),) if patch else ()
    if world.host_named(NAMESPACES, name) is not None:
        return (decide.refuse_foreign(NAMESPACES, key, name),)
    return (CreateHost(NAMESPACES, wanted),)


def _not_carried(_host: Object, _tenant: Tenant) -> Key | None:
    return None


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    noted, name = ownership.annotations_of(host), ownership.annotations_of(host).get(ownership.NAME, "")
    is_ours = (
        tenant.each_namespace
        and ownership.labels_of(host).get(ownership.TENANT_LABEL) == tenant.name
        and noted.get(ownership.KIND) == NAMESPACES.kind
        and host["metadata"]["name"] == host_namespace_of(tenant, name)
    )
    return Key("", name) if is_ours else None


def _wakes(namespace: Object, world: World) -> Iterable[Reference]:
    # Host pods tell the labels of their namespace, and gateways admit routes by them.
    for resource in (PODS, HTTP_ROUTES, GRPC_ROUTES):
        if world.kind(resource) is not None:
            for item in world.virtual_list(resource, namespace["metadata"]["name"]):
                yield resource, Key(item["metadata"]["namespace"], item["metadata"]["name"])


KIND = Kind(resource=NAMESPACES, reconcile=reconcile, host_key=_not_carried, wakes=_wakes, watch_host=False)
TO_HOST = Kind(
    resource=NAMESPACES,
    reconcile=carry,
    host_key=_host_key,
    wakes=_wakes,
    switch=Switch("to_host", "namespaces"),
    host_rules=(Rule.to_carry(NAMESPACES),),
)

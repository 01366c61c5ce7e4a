"""Figures: what pods and nodes use, as the host's metrics.k8s.io tells it, told of the virtual ones.

The one rule: what is not known here is not told. A figure is shown only of a host pod that was made for a virtual pod
that is there, and of that one's own containers; and it is made anew of the few fields that there are, with the virtual
object's labels, so that nothing of the host can come along.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcluster_syncer import ownership
from vcluster_syncer.model import NODE_METRICS, NODES, POD_METRICS, PODS, Key, Object, Resource, Rule, World
from vcluster_syncer.naming import host_namespace_of
from vcluster_syncer.ownership import NAMESPACE_LABEL, TENANT_LABEL
from vcluster_syncer.translate import node_names

_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_MEASURED: Final = ("timestamp", "window")


def host_rules(told: Iterable[Resource]) -> tuple[Rule, ...]:
    """Return the rights on the host that it takes to tell figures; there is no watch of them."""
    return tuple(Rule(one.group, (one.plural,), ("get", "list"), not one.namespaced) for one in told)


def host_pod(key: Key, world: World) -> Object | None:
    """Return the host pod that was made for the virtual pod `key`, None where there is none."""
    virtual, host = world.virtual(PODS, key), world.host(PODS, key)
    return host if virtual is not None and host is not None and ownership.carries(host, virtual) else None


def host_node(key: Key, world: World) -> str | None:
    """Return the host's name of the virtual node `key`, None where there is none behind it."""
    return node_names.to_host(key.name, world) if world.virtual(NODES, key) is not None else None


def host_place(resource: Resource, namespace: str, world: World) -> tuple[str, dict[str, str]]:
    """Return the host namespace and the labels of all that is told of a virtual namespace, or of all: as few as can be.

    Figures have the labels of the pod or node that they are of.
    """
    tenant = world.tenant
    if resource != POD_METRICS:
        return "", {tenant.node_label: tenant.node_label_value or tenant.name} if tenant.private_nodes else {}
    is_everywhere = tenant.each_namespace and not namespace
    place = "" if is_everywhere else host_namespace_of(tenant, namespace)
    return place, {TENANT_LABEL: tenant.name, **({NAMESPACE_LABEL: namespace} if namespace else {})}


def of_pod(figures: Object, world: World) -> dict[str, Any] | None:
    """Return what is told of the virtual pod, None where the host's figures are of none of the tenant's."""
    own = figures["metadata"]
    host = world.host_named(PODS, own["name"])
    if host is None or host["metadata"].get("namespace") != own.get("namespace"):
        return None
    key = ownership.virtual_key(host, world.tenant, kind=PODS.kind)
    virtual = world.virtual(PODS, key) if key is not None else None
    if key is None or virtual is None or not ownership.carries(host, virtual):
        return None
    names = {container["name"] for field in _CONTAINERS for container in virtual["spec"].get(field) or ()}
    return {
        **_head(POD_METRICS, key, virtual, figures),
        "containers": [
            {"name": one["name"], "usage": dict(one.get("usage") or {})}
            for one in figures.get("containers") or ()
            if one["name"] in names
        ],
    }


def of_node(figures: Object, world: World) -> dict[str, Any] | None:
    """Return what is told of the virtual node, None where the host's figures are of none of the tenant's."""
    name = node_names.to_virtual(figures["metadata"]["name"], world)
    key = Key("", name or "")
    virtual = world.virtual(NODES, key) if name else None
    # A node that the tenant made itself may have the name of one of the host's.
    if virtual is None or host_node(key, world) != figures["metadata"]["name"]:
        return None
    return {**_head(NODE_METRICS, key, virtual, figures), "usage": dict(figures.get("usage") or {})}


def _head(resource: Resource, key: Key, virtual: Object, figures: Object) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": key.name}
    if key.namespace:
        metadata["namespace"] = key.namespace
    if created := figures["metadata"].get("creationTimestamp"):
        metadata["creationTimestamp"] = created
    if labels := ownership.labels_of(virtual):
        metadata["labels"] = dict(labels)
    return {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": metadata,
        **{field: figures[field] for field in _MEASURED if field in figures},
    }

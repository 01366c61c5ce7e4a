"""The objects that are one virtual cluster on its host: what the chart renders, owned by the cluster's Service.

The one rule: pure. Order is that of making: first the Service, which is the lock on a block of addresses and the owner
of all else; then what pods read; the StatefulSet last.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_vcluster import sync_switches

Object = dict[str, Any]

RUN_LABEL = "pytest-vcluster/run"
_LAST = ("StatefulSet",)
# The collections of what the chart makes and we add; a kind that is not here is a mistake of ours.
_PLURALS = {
    "Service": ("/api/v1", "services"),
    "Secret": ("/api/v1", "secrets"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
}
CLUSTER_SCOPED = ("ClusterRole", "ClusterRoleBinding")


def collection(kind: str, namespace: str) -> str:
    """The path of the collection of a kind; KeyError for one that no virtual cluster is made of."""
    base, plural = resource_of(kind)
    return f"{base}/{plural}" if kind in CLUSTER_SCOPED else f"{base}/namespaces/{namespace}/{plural}"


def resource_of(kind: str) -> tuple[str, str]:
    """Where the API has a kind, and its plural; KeyError for one that no virtual cluster is made of."""
    return _PLURALS[kind]


def values(
    *,
    version: str,
    labels: Mapping[str, str],
    service_range: str,
    kubernetes_ip: str,
    dns_ip: str,
    node_ports: bool,
    keys: str,
    seed: str,
    nodes: str,
    metrics: bool,
    lease: str,
    syncer_image: str,
    sync: Iterable[str],
) -> dict[str, Any]:
    """The chart's values of one virtual cluster; `keys` and `seed` name Secrets, `lease` the Lease of the run.

    `sync` is what is shared with the host beyond the usual.

    With `metrics` it is told what its pods use, and its nodes, where these may be read.
    """
    # What real nodes have to offer can be asked for where it may be read.
    usual = {"from_host": {"storage_classes": nodes == "shared"}}
    return {
        "version": version,
        "labels": dict(labels),
        "serviceCIDR": service_range,
        "service": {"clusterIP": kubernetes_ip, "nodePorts": node_ports},
        "dns": {"clusterIP": dns_ip},
        "certificates": {"secret": keys},
        "seed": {"secret": seed},
        "nodes": {"mode": nodes},
        "sync": sync_switches.to_chart(sync_switches.turned_on(sync, beside=usual)),
        "metrics": {"pods": metrics, "nodes": metrics and nodes == "shared"},
        # A recycler needs the history, and no cluster of a test lives long.
        "store": {"compactionInterval": "0"},
        "heartbeat": {"lease": lease},
        "images": {"syncer": syncer_image},
    }


def split(rendered: Sequence[Object], name: str) -> tuple[Object, list[Object]]:
    """The cluster's Service, and all else in the order of making."""
    roots = [found for found in rendered if found["kind"] == "Service" and found["metadata"]["name"] == name]
    others = [found for found in rendered if not any(found is root for root in roots)]
    return roots[0], sorted(others, key=lambda found: found["kind"] in _LAST)


def owned(document: Mapping[str, Any], *, owner: str, uid: str) -> Object:
    """A copy of `document` that goes when the Service `owner` does; what has no namespace can't be owned so."""
    if document["kind"] in CLUSTER_SCOPED:
        return dict(document)
    reference = {"apiVersion": "v1", "kind": "Service", "name": owner, "uid": uid}
    return {**document, "metadata": {**document["metadata"], "ownerReferences": [reference]}}


def secret(name: str, contents: Mapping[str, bytes], *, labels: Mapping[str, str]) -> Object:
    """A Secret that never changes."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": dict(labels)},
        "immutable": True,
        "data": {file: base64.b64encode(content).decode() for file, content in contents.items()},
    }

"""How a virtual API server comes to ask the syncer for metrics.k8s.io: an APIService, and a Service that leads there.

The one rule: what is there by that name and is a user's stays as it is; what is ours leads to where we are now.

A kube-apiserver that hands an API on to a Service goes to its cluster IP, which needs somebody to route it, or follows
an external name, which needs nobody. https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.gateway.metrics_api import GROUP, ROOT, VERSION
from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import KubeError, NotFound
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import API_SERVICES, CLUSTER_ROLES, SERVICES, Object, Resource

_log = logging.getLogger(__name__)
SERVICE: Final = ("kube-system", "host-metrics")
"""Namespace and name."""
SERVER_NAME: Final = f"{SERVICE[1]}.{SERVICE[0]}.svc"
"""What the API server wants the certificate to be for."""
API_SERVICE: Final = f"{VERSION}.{GROUP}"
READERS: Final = "system:aggregated-metrics-reader"
_AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_POLL_SECONDS: Final = 0.05


class NotServed(KubeError):
    """The virtual API server does not pass requests for figures on to us."""


def wanted(*, address: str, port: int, authority: bytes) -> Sequence[tuple[Resource, Object]]:
    """Return what has to be there for requests to reach `address`, whose certificate `authority` (PEM) signed.

    In the order in which it is made.
    """
    namespace, name = SERVICE
    leads = {"type": "ExternalName", "externalName": address}
    handed_on = {
        "group": GROUP,
        "version": VERSION,
        # As metrics-server has them.
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"namespace": namespace, "name": name, "port": port},
        "caBundle": base64.b64encode(authority).decode(),
    }
    # Who may see what there is may see what it uses, as where metrics-server is.
    readers = {f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("admin", "edit", "view")}
    rules = [{"apiGroups": [GROUP], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}]
    return (
        (SERVICES, _object(SERVICES, {"name": name, "namespace": namespace}, spec=leads)),
        (CLUSTER_ROLES, _object(CLUSTER_ROLES, {"name": READERS}, labels=readers, rules=rules)),
        (API_SERVICES, _object(API_SERVICES, {"name": API_SERVICE}, spec=handed_on)),
    )


def _object(resource: Resource, named: Object, *, labels: Object | None = None, **fields: Any) -> dict[str, Any]:
    metadata = {**named, "labels": {ownership.STAYS: "true", **(labels or {})}}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **fields}


async def served(virtual: Client, objects: Sequence[tuple[Resource, Object]], *, timeout: float) -> None:
    """Have `objects` in the virtual cluster, and wait until its API server passes on what we are to be asked.

    KubeError; NotServed if it doesn't within `timeout` seconds. A user who has an API or a Service of that name keeps
    it, and nothing is made.
    """
    there = [(resource, obj, await _find(virtual, resource, obj)) for resource, obj in objects]
    for resource, obj, found in there:
        if found is not None and "spec" in obj and ownership.STAYS not in ownership.labels_of(found):
            _log.warning("no %s: %s %s is a user's own", GROUP, resource.kind, obj["metadata"]["name"])
            return
    for resource, obj, found in there:
        await _lead_here(virtual, resource, obj, found)
    deadline = time.monotonic() + timeout
    while why := await _unavailable(virtual):
        if time.monotonic() > deadline:
            raise NotServed(
                f"waited {timeout:g} s for the API server to pass on requests for {GROUP}; last seen: {why}. See "
                f"whether the certificate of tenant.metrics.endpoint is for {SERVER_NAME}, and its client_authority is "
                "the API server's --requestheader-client-ca-file"
            )
        await asyncio.sleep(_POLL_SECONDS)


async def _find(virtual: Client, resource: Resource, obj: Object) -> Object | None:
    named = obj["metadata"]
    try:
        return await virtual.send(requests.get(resource, namespace=named.get("namespace", ""), name=named["name"]))
    except NotFound:
        return None


async def _lead_here(virtual: Client, resource: Resource, obj: Object, found: Object | None) -> None:
    namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
    if found is None:
        await virtual.send(requests.create(resource, obj, namespace=namespace))
    elif spec := decide.fields_patch(found.get("spec") or {}, obj.get("spec") or {}, tuple(obj.get("spec") or ())):
        uid = found["metadata"]["uid"]
        patch = requests.merge_patch(resource, namespace=namespace, name=name, uid=uid, patch={"spec": spec})
        await virtual.send(patch)


async def _unavailable(virtual: Client) -> str:
    """Why nothing is passed on; empty if it is."""
    found = await virtual.send(requests.get(API_SERVICES, name=API_SERVICE))
    conditions = {one["type"]: one for one in (found.get("status") or {}).get("conditions") or ()}
    available = conditions.get("Available", {})
    if available.get("status") != "True":
        return f"APIService {API_SERVICE}: {available.get('message', 'nobody has looked at it yet')}"
    # Who hands requests on, and who tells which kinds there are, learn of it a moment later, each for himself.
    try:
        await virtual.send(Request(method="GET", path=ROOT))
        listed = await virtual.send(Request(method="GET", path="/apis", accept=_AGGREGATED))
    except KubeError as error:
        return str(error)
    versions = [
        version
        for group in listed.get("items") or ()
        if group["metadata"]["name"] == GROUP
        for version in group["versions"]
    ]
    if not any(version.get("resources") and version.get("freshness") != "Stale" for version in versions):
        return f"discovery does not tell of {GROUP} yet"
    return ""

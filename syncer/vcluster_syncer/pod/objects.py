"""What has to be there for a virtual cluster to work in a pod: what the configuration tells, and who serves it.

The one rule: what is there stays as it is, but for the addresses of this pod, which are this pod's to tell.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable
from typing import Any

from vcluster_syncer import decide
from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import AlreadyExists, NotFound
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import ENDPOINT_SLICES, ENDPOINTS, SERVICES, Object, Owner, Resource
from vcluster_syncer.pod_options import Endpoints, HostService

_MANAGED_BY, _MANAGER = "endpointslice.kubernetes.io/managed-by", "vcluster-syncer"


async def make_missing(virtual: Client, obj: Object) -> None:
    """Make an object of whatever kind if there is none of its name; KubeError."""
    resource = await _resource(virtual, obj)
    namespace = obj["metadata"].get("namespace") or "default" if resource.namespaced else ""
    try:
        # A Service that is there is not found to be so when it is created: its address is, which is taken.
        await virtual.send(requests.get(resource, namespace=namespace, name=obj["metadata"]["name"]))
    except NotFound:
        with contextlib.suppress(AlreadyExists):
            await virtual.send(requests.create(resource, obj, namespace=namespace))


async def announce(virtual: Client, endpoints: Endpoints, address: str) -> None:
    """Have a Service lead to this pod, in the words of today and of old; KubeError."""
    await _tell(virtual, ENDPOINT_SLICES, slice_of(endpoints, address), ("endpoints", "ports"))
    await _tell(virtual, ENDPOINTS, endpoints_of(endpoints, address), ("subsets",))


async def lead_here(host: Client, service: HostService, address: str, owner: Owner) -> None:
    """Have a Service of the host lead to this pod before the host tells its address itself; KubeError.

    kubelet tells it when the pod's last container was started, which waits for the API server; and another second may
    pass until the nodes lead there. What the host says later is the same. A slice of that name that somebody else made
    stays as it is.
    """
    wanted = slice_of(Endpoints(namespace=owner.namespace, name=service.name, ports=service.ports), address)
    wanted["metadata"]["labels"][_MANAGED_BY] = _MANAGER
    wanted["metadata"]["ownerReferences"] = [
        {"apiVersion": SERVICES.api_version, "kind": SERVICES.kind, "name": owner.name, "uid": owner.uid}
    ]
    await _tell(host, ENDPOINT_SLICES, wanted, ("endpoints", "ports"), is_ours=_is_ours)


def _is_ours(there: Object) -> bool:
    return bool((there["metadata"].get("labels") or {}).get(_MANAGED_BY) == _MANAGER)


async def _tell(
    client: Client,
    resource: Resource,
    wanted: Object,
    fields: tuple[str, ...],
    *,
    is_ours: Callable[[Object], bool] = lambda _: True,
) -> None:
    namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
    try:
        await client.send(requests.create(resource, wanted, namespace=namespace))
    except AlreadyExists:
        there = await client.send(requests.get(resource, namespace=namespace, name=name))
        if is_ours(there) and (patch := decide.fields_patch(there, wanted, fields)):
            uid = there["metadata"]["uid"]
            request = requests.merge_patch(resource, namespace=namespace, name=name, uid=uid, patch=patch)
            await client.send(request)


def endpoints_of(endpoints: Endpoints, address: str) -> dict[str, Any]:
    """Return the Endpoints that say that `address` serves a Service, for those who know no slices."""
    return {
        "apiVersion": ENDPOINTS.api_version,
        "kind": ENDPOINTS.kind,
        "metadata": {
            "name": endpoints.name,
            "namespace": endpoints.namespace,
            # There is a slice already; as upstream's API server says it.
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": address}], "ports": [dict(port) for port in endpoints.ports]}],
    }


def slice_of(endpoints: Endpoints, address: str) -> dict[str, Any]:
    """Return the EndpointSlice that says that `address` serves a Service. It has the Service's name, as upstream's."""
    version = ipaddress.ip_address(address).version
    return {
        "apiVersion": ENDPOINT_SLICES.api_version,
        "kind": ENDPOINT_SLICES.kind,
        "metadata": {
            "name": endpoints.name,
            "namespace": endpoints.namespace,
            "labels": {"kubernetes.io/service-name": endpoints.name},
        },
        "addressType": f"IPv{version}",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [dict(port) for port in endpoints.ports],
    }


async def _resource(virtual: Client, obj: Object) -> Resource:
    group, _, version = obj["apiVersion"].rpartition("/")
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    served = await virtual.send(Request(method="GET", path=path))
    for found in served.get("resources") or ():
        if found["kind"] == obj["kind"] and "/" not in found["name"]:
            return Resource(group, version, found["name"], obj["kind"], found["namespaced"])
    raise NotFound(f"{obj['apiVersion']} has no {obj['kind']}, of which {obj['metadata']['name']} is to be one")

"""Making the objects of one virtual cluster on its host, and deleting them.

The one rule: the Service of the cluster comes first and goes first. Whatever fails in between, deleting it deletes all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.errors import ApiError, ProvisionError
from pytest_vcluster.hosts.in_cluster import objects
from pytest_vcluster.hosts.in_cluster.blocks import Block
from pytest_vcluster.hosts.in_cluster.objects import Object

_ATTEMPTS = 64
_TAKEN = "already allocated"
_NODE_SERVICE = "-node"
_WORDS = 15
"""Lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A block of addresses that is ours, by the Service that has its first address."""

    block: Block
    uid: str


def take_block(
    client: Client, namespace: str, candidates: Sequence[Block], service: Callable[[Block], Object]
) -> Taken:
    """Make the cluster's Service with the first address of a block that nobody has; ProvisionError if all are taken."""
    path = objects.collection("Service", namespace)
    for block in candidates[:_ATTEMPTS]:
        try:
            made = client.call("POST", path, service(block))
        except ApiError as error:
            if error.status == 422 and _TAKEN in str(error):
                continue
            raise
        return Taken(block=block, uid=made["metadata"]["uid"])
    raise ProvisionError(
        f"No block of Service addresses is free on the host: {min(len(candidates), _ATTEMPTS)} of "
        f"{len(candidates)} were tried, from {candidates[0].cidr} on.\n"
        "Others have virtual clusters there, or leftovers: see `pytest-vcluster sweep`."
    )


def make(client: Client, namespace: str, documents: Sequence[Object], *, owner: str, uid: str) -> Mapping[str, Any]:
    """Make all `documents`, owned by the Service `owner`; returns them as made, by kind and name."""
    made = {}
    for document in documents:
        path = objects.collection(document["kind"], namespace)
        found = client.call("POST", path, objects.owned(document, owner=owner, uid=uid))
        made[f"{document['kind']}/{document['metadata']['name']}"] = found
    return made


def delete(client: Client, namespace: str, name: str, *, beyond: Sequence[Object] = ()) -> None:
    """Delete the virtual cluster `name`, and what of it has no namespace; what is gone is gone."""
    paths = [f"{objects.collection('Service', namespace)}/{name}"]
    paths += [
        f"{objects.collection(document['kind'], namespace)}/{document['metadata']['name']}"
        for document in beyond
        if document["kind"] in objects.CLUSTER_SCOPED
    ]
    for path in paths:
        try:
            client.call("DELETE", path, {"propagationPolicy": "Background"})
        except ApiError as error:
            if error.status != 404:
                raise


def node_ports(made: Mapping[str, Any], name: str) -> Mapping[str, int]:
    """Ports of every node that lead to the pod, by their names; KeyError if the chart was not asked for them."""
    ports = made[f"Service/{name}{_NODE_SERVICE}"]["spec"]["ports"]
    return {port["name"]: int(port["nodePort"]) for port in ports}


def pod(client: Client, namespace: str, name: str) -> Object | None:
    """The pod of the virtual cluster; None if there is none (yet)."""
    try:
        return client.call("GET", f"/api/v1/namespaces/{namespace}/pods/{name}-0")
    except ApiError as error:
        if error.status != 404:
            raise
    return None


def events(client: Client, namespace: str, name: str) -> Sequence[Object]:
    """What the host says of the StatefulSet of the virtual cluster."""
    selector = quote(f"involvedObject.kind=StatefulSet,involvedObject.name={name}", safe="")
    found: list[Object] = client.call("GET", f"/api/v1/namespaces/{namespace}/events?fieldSelector={selector}")["items"]
    return found


def last_words(client: Client, namespace: str, name: str, container: str) -> str:
    """What a container of the pod logged before its last end, or why that is not known."""
    path = f"/api/v1/namespaces/{namespace}/pods/{name}-0/log?container={container}&previous=true&tailLines={_WORDS}"
    try:
        status, text = client.status(path)
    except OSError as error:
        status, text = 0, f"{type(error).__name__}: {error}"
    return text.strip() if status == 200 else f"(no log: {text.strip()[:300]})"

"""Requests to an API server as data.

The one rule: pure. A function here says which request has which effect; nobody sends anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from vcluster_syncer.model import Object, Resource

FIELD_MANAGER = "vcluster-syncer"
PAGE_SIZE = 500

_MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; `path` begins with a slash and carries the query."""

    method: str
    path: str
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"

    def __str__(self) -> str:
        return f"{self.method} {self.path.partition('?')[0]}"


def version() -> Request:
    """Ask a server what it is."""
    return Request(method="GET", path="/version")


def _path(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


_AS_US = {"fieldManager": FIELD_MANAGER}


def list_page(resource: Resource, *, namespace: str = "", continue_token: str = "", limit: int = PAGE_SIZE) -> Request:
    """List a collection, of one namespace or of all; `limit` 0 asks for everything at once."""
    query = {"limit": str(limit)} if limit else {}
    if continue_token:
        query["continue"] = continue_token
    return Request(method="GET", path=_path(resource.path(namespace), query))


def watch(resource: Resource, *, namespace: str = "", revision: str, seconds: int) -> Request:
    """Stream what changes after `revision`; the server ends it after `seconds`."""
    query = {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "resourceVersion": revision,
        "timeoutSeconds": str(seconds),
    }
    return Request(method="GET", path=_path(resource.path(namespace), query))


def get(resource: Resource, *, namespace: str = "", name: str) -> Request:
    """Read one object."""
    return Request(method="GET", path=resource.path(namespace, name))


def create(resource: Resource, obj: Object, *, namespace: str = "") -> Request:
    """Create an object; `namespace` wins over what the object says."""
    return Request(method="POST", path=_path(resource.path(namespace), _AS_US), body=_body(obj))


def merge_patch(
    resource: Resource,
    *,
    namespace: str = "",
    name: str,
    uid: str,
    resource_version: str = "",
    patch: Object,
    subresource: str = "",
) -> Request:
    """Change the keys named in `patch`, only of the object with that uid and, when given, that resourceVersion."""
    metadata: dict[str, Any] = {**patch.get("metadata", {}), "uid": uid}
    if resource_version:
        metadata["resourceVersion"] = resource_version
    return Request(
        method="PATCH",
        path=_path(resource.path(namespace, name, subresource), _AS_US),
        body=_body({**patch, "metadata": metadata}),
        content_type=_MERGE_PATCH,
    )


def replace_status(resource: Resource, obj: Object) -> Request:
    """Replace the status of an object that carries its resourceVersion."""
    metadata = obj["metadata"]
    path = resource.path(metadata.get("namespace", ""), metadata["name"], "status")
    return Request(method="PUT", path=_path(path, _AS_US), body=_body(obj))


def delete(
    resource: Resource, *, namespace: str = "", name: str, uid: str, grace_seconds: int | None = None
) -> Request:
    """Delete the object with that uid; None as grace leaves the server's default."""
    options: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": uid},
        "propagationPolicy": "Background",
    }
    if grace_seconds is not None:
        options["gracePeriodSeconds"] = grace_seconds
    return Request(method="DELETE", path=resource.path(namespace, name), body=_body(options))


def bind(resource: Resource, *, namespace: str, name: str, uid: str, node: str) -> Request:
    """Bind a pod to a node."""
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": namespace, "uid": uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
    return Request(method="POST", path=resource.path(namespace, name, "binding"), body=_body(body))


def token(
    *, namespace: str, service_account: str, pod_name: str, pod_uid: str, audiences: tuple[str, ...], seconds: int
) -> Request:
    """Mint a ServiceAccount token that dies with the pod."""
    spec: dict[str, Any] = {
        "expirationSeconds": seconds,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod_name, "uid": pod_uid},
    }
    if audiences:
        spec["audiences"] = list(audiences)
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
    return Request(method="POST", path=path, body=_body(body))


def _body(obj: Object) -> bytes:
    return orjson.dumps(obj, default=_plain)


def _plain(value: object) -> object:
    """Give orjson a dict for a Mapping of another type, such as a MappingProxyType."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"an object of type {type(value).__name__} can't be sent as JSON")

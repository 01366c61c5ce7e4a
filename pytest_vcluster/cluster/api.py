"""The API server as the handle's aspects see it: requests, kinds, and one object watched until a deadline.

The one rule: nothing polls what can be watched, and nothing waits without a deadline or without noticing that a process
of the cluster has died.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pytest_vcluster.cluster.discovery import Discovery, Resource
from pytest_vcluster.cluster.objects import Object, name_of, namespace_of
from pytest_vcluster.cluster.rest import Rest
from pytest_vcluster.errors import ApiError

DEFAULT_NAMESPACE = "default"
_REFERENCE = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9.-]*)/(?P<name>[^/\s]+)")
# A dead controller manager or syncer closes no connection of ours: between slices of a watch somebody has to look.
_SLICE_SECONDS = 2.0
# What the API server says of a path, other than of an object.
_NO_SUCH_PATH = ("could not find the requested resource", "404 page not found")
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One object, by name."""

    resource: Resource
    namespace: str
    name: str
    uid: str = ""
    """Of the very object that is meant, where that is known."""

    @property
    def path(self) -> str:
        """Where the object is."""
        return self.resource.path(namespace=self.namespace, name=self.name)


@dataclass(frozen=True, slots=True)
class Api:
    """One API server; `check` raises if a process of the cluster has died."""

    rest: Rest
    discovery: Discovery
    check: Callable[[], None]

    def target(self, reference: str | Mapping[str, Any], *, namespace: str | None = None) -> Target:
        """The object that `deployment/web` or an object dict names; a namespace in the dict counts most."""
        if isinstance(reference, str):
            match = _REFERENCE.fullmatch(reference)
            if match is None:
                message = f"{reference!r} names no object; allowed: 'kind/name' such as 'deployment/web', or an object"
                raise ValueError(message)
            resource, name, uid, own = self.discovery.called(match["kind"]), match["name"], "", ""
        else:
            name, own = name_of(reference), namespace_of(reference)
            if not name or "kind" not in reference:
                message = "the object given has no kind or no metadata.name, so it names nothing to wait for or delete"
                raise ValueError(message)
            group_version = str(reference.get("apiVersion", ""))
            resource = self.discovery.of(group_version, reference["kind"]) or self.discovery.called(reference["kind"])
            uid = str(reference["metadata"].get("uid", ""))
        scope = (own or namespace or DEFAULT_NAMESPACE) if resource.namespaced else ""
        return Target(resource=resource, namespace=scope, name=name, uid=uid)

    def get(self, target: Target, *, timeout: float | None = None) -> Object:
        """The object as it is now."""

        def ask(resource: Resource) -> Object:
            return self.rest.call("GET", replace(target, resource=resource).path, timeout=timeout)

        return self._as_served(target.resource, ask)

    def listed(
        self, resource: Resource, *, namespace: str = "", query: Mapping[str, str] | None = None, timeout: float | None
    ) -> list[Object]:
        """Objects of a kind, in one namespace or in all, complete with the apiVersion and kind that lists leave out."""

        def ask(resource: Resource) -> list[Object]:
            listing = self.rest.call("GET", resource.path(namespace=namespace), query=query, timeout=timeout)
            return [complete(item, resource) for item in listing.get("items") or ()]

        return self._as_served(resource, ask)

    def observe(self, target: Target, *, deadline: float) -> Iterator[Object | None]:
        """Yield the object as it is and whenever it changes, None while it isn't there; ends at the deadline."""
        query = {"fieldSelector": f"metadata.name={target.name}"}

        def ask(resource: Resource) -> tuple[Resource, Object]:
            left = max(0.1, deadline - time.monotonic())
            path = resource.path(namespace=target.namespace)
            return resource, self.rest.call("GET", path, query=query, timeout=left)

        while time.monotonic() < deadline:
            self.check()
            resource, listing = self._as_served(target.resource, ask)
            items = listing.get("items") or ()
            yield complete(items[0], resource) if items else None
            revision = str(listing["metadata"]["resourceVersion"])
            path = resource.path(namespace=target.namespace)
            try:
                for state in self._changes(path, query, revision, deadline):
                    yield None if state is None else complete(state, resource)
            except ApiError as error:
                if error.status != 410:  # the server no longer knows the revision: a new list is needed
                    raise

    def _changes(self, path: str, query: Mapping[str, str], revision: str, deadline: float) -> Iterator[Object | None]:
        """Yield states later than `revision`; ends where a new list is needed, and at the deadline."""
        while (left := deadline - time.monotonic()) > 0:
            piece = min(left, _SLICE_SECONDS)
            asked = {**query, "resourceVersion": revision, "timeoutSeconds": str(math.ceil(piece))}
            for event in self.rest.watch(path, query=asked, timeout=min(left, piece + 1)):
                if event["type"] == "ERROR":
                    return
                revision = str(event["object"]["metadata"]["resourceVersion"])
                if event["type"] != "BOOKMARK":
                    yield None if event["type"] == "DELETED" else event["object"]
            self.check()

    def _as_served(self, resource: Resource, ask: Callable[[Resource], _Answer]) -> _Answer:
        """What `ask` answers, in the version that is served now if the one known is served no more."""
        try:
            return ask(resource)
        except ApiError as error:
            if error.status != 404 or not any(words in str(error) for words in _NO_SUCH_PATH):
                raise
            self.discovery.refresh()
            current = self.discovery.called(resource.qualified)
            if current == resource:
                raise
            return ask(current)


def complete(item: Object, resource: Resource) -> Object:
    """The object with its apiVersion and kind first."""
    return {"apiVersion": resource.api_version, "kind": resource.kind, **item}

"""Reading the state of a cluster: about 110 requests one after the other, 0.2 s.

The one rule: what can't be read is part of the state, not an error, as long as the server answers: a kind that is
listed in discovery and not served is just what is looked for. `/openapi/v2` is never touched: it would cost the API
server 100 MB.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from pytest_vcluster.comparison.state import ApiState, Object, Schemas
from pytest_vcluster.errors import ApiError

JSON = "application/json"
# As in `cluster.discovery`, which the run service may not import.
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"

# No objects: the server makes them up by probing addresses of the machine, in an order left to chance.
NOT_STORED = frozenset({"componentstatuses"})
# Figures of what pods and nodes use at the moment.
MEASURED = "metrics.k8s.io"


class Caller(Protocol):
    """An API server, spoken to as an administrator."""

    def call(self, method: str, path: str, *, accept: str = ...) -> dict[str, Any]:
        """Send a request and return the answer; ApiError for a status of 400 or more."""


WithSchema = Callable[[str, str], bool]


def no_schemas(group_version: str, digest: str) -> bool:
    """Read hashes only."""
    return False


def all_schemas(group_version: str, digest: str) -> bool:
    """Read all 50 documents, for a state that many others will be compared with."""
    return True


def read(caller: Caller, *, with_schema: WithSchema = no_schemas) -> ApiState:
    """Read everything; of the OpenAPI documents those that `with_schema` says, given group-version and hash.

    To learn which schemas differ, and not only that they do, read the one state with `all_schemas` and the others
    with the first one's `has_other_schema`.
    """
    reading = _Reading(caller)
    aggregated = {path: reading.get(path, accept=AGGREGATED) for path in ("/api", "/apis")}
    objects = {kind: reading.listed(path) for kind, path in listable(aggregated.values())}
    discovery = {f"{path} (aggregated)": document for path, document in aggregated.items()}
    return ApiState(
        objects=objects,
        discovery=discovery | reading.legacy_discovery(),
        schemas=reading.schemas(with_schema),
        failures=reading.failures,
    )


def listable(aggregated: Iterable[Object]) -> Iterator[tuple[str, str]]:
    """Each kind that can be listed, and where, in the version that its group prefers."""
    for document in aggregated:
        for group in document.get("items") or ():
            name = (group.get("metadata") or {}).get("name", "")
            seen = set(NOT_STORED)
            for version in group.get("versions") or ():
                root = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
                for resource in version.get("resources") or ():
                    plural = resource["resource"]
                    if name != MEASURED and plural not in seen and "list" in (resource.get("verbs") or ()):
                        seen.add(plural)
                        yield f"{plural}.{name}" if name else plural, f"{root}/{plural}"


def parts_of(document: Object) -> dict[str, str]:
    """A digest of each path and schema in an OpenAPI v3 document."""
    schemas = (document.get("components") or {}).get("schemas") or {}
    parts = {f"path {name}": part for name, part in (document.get("paths") or {}).items()}
    parts |= {f"schema {name}": part for name, part in schemas.items()}
    return {name: hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() for name, part in parts.items()}


class _Reading:
    """Requests whose failures are kept."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.failures: dict[str, str] = {}

    def get(self, path: str, *, accept: str = JSON) -> dict[str, Any]:
        try:
            return self._caller.call("GET", path, accept=accept)
        except ApiError as error:
            self.failures[path] = f"{error.status} {error.reason}".strip()
            return {}

    def listed(self, path: str) -> dict[str, Object]:
        found: dict[str, Object] = {}
        for item in self.get(path).get("items") or ():
            metadata = item["metadata"]
            found["/".join(filter(None, (metadata.get("namespace"), metadata["name"])))] = item
        return found

    def legacy_discovery(self) -> dict[str, Object]:
        documents: dict[str, Object] = {path: self.get(path) for path in ("/api", "/api/v1", "/apis")}
        for group in documents["/apis"].get("groups") or ():
            paths = [group["name"], *(version["groupVersion"] for version in group.get("versions") or ())]
            documents |= {f"/apis/{path}": self.get(f"/apis/{path}") for path in paths}
        return documents

    def schemas(self, with_schema: WithSchema) -> dict[str, Schemas]:
        found: dict[str, Schemas] = {}
        index: Mapping[str, Mapping[str, str]] = self.get("/openapi/v3").get("paths") or {}
        for name, entry in index.items():
            url = entry["serverRelativeURL"]
            digest = parse_qs(urlsplit(url).query).get("hash", [""])[0]
            parts = parts_of(self.get(url)) if with_schema(name, digest) else None
            found[name] = Schemas(hash=digest, parts=parts)
        return found

"""Which kinds the API server serves, by all the names that kubectl knows them under.

Read from aggregated discovery (two requests), kept in memory only: files that outlive a lease would show the next test
the kinds of the last one. The one rule: a kind that is not known is asked for again before anybody is told that it does
not exist. `/openapi/v2` is never touched: it would cost the API server 100 MB.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_vcluster.errors import ApiError

if TYPE_CHECKING:
    from pytest_vcluster.cluster.rest import Rest

ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind of one version, and where its objects are."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    singular: str = ""
    short_names: tuple[str, ...] = ()
    verbs: frozenset[str] = field(default_factory=frozenset)
    subresources: frozenset[str] = field(default_factory=frozenset)

    @property
    def api_version(self) -> str:
        """As objects have it: `v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As kubectl prints it: `pods`, `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of all objects, those of a namespace, one, or a part of one."""
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)

    def is_called(self, word: str) -> bool:
        """Whether kubectl takes `word` (lower case, without group) for this kind; short names apart."""
        return word in {self.plural, self.singular, self.kind.lower()}


DEFINITIONS = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    plural="customresourcedefinitions",
    kind="CustomResourceDefinition",
    namespaced=False,
)
"""Known without asking, because discovery depends on them."""

NAMESPACES = Resource(group="", version="v1", plural="namespaces", kind="Namespace", namespaced=False)
EVENTS = Resource(group="", version="v1", plural="events", kind="Event", namespaced=True)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All kinds of a server at one moment, the preferred version of each group first."""

    resources: tuple[Resource, ...] = ()

    def of(self, api_version: str, kind: str) -> Resource | None:
        """The kind that an object's `apiVersion` and `kind` name."""
        return next((found for found in self.resources if (found.api_version, found.kind) == (api_version, kind)), None)

    def called(self, word: str) -> Resource | None:
        """The kind that kubectl takes `word` for: `Pod`, `pods`, `po`, `deployments.apps`, `deployments.v1.apps`."""
        name, _, rest = word.lower().partition(".")
        version, _, group = rest.partition(".")
        fits = [found for found in self.resources if not rest or rest == found.group]
        versioned = [found for found in self.resources if rest and (found.version, found.group) == (version, group)]
        for candidates in (fits, versioned):
            for found in candidates:
                if found.is_called(name):
                    return found
        return next((found for found in (*fits, *versioned) if name in found.short_names), None)

    def preferred(self) -> tuple[Resource, ...]:
        """Each kind once, in the version that its group prefers."""
        return tuple({(found.group, found.plural): found for found in reversed(self.resources)}.values())[::-1]

    def like(self, word: str) -> list[str]:
        """Names close to `word`, for a message to somebody who mistyped one."""
        names = {name for found in self.resources for name in (found.plural, found.kind.lower(), *found.short_names)}
        return difflib.get_close_matches(word.lower().partition(".")[0], sorted(names), n=3)


def read_groups(document: Mapping[str, Any]) -> Iterable[Resource]:
    """The kinds in one APIGroupDiscoveryList."""
    for group in document.get("items", ()):
        for version in group.get("versions", ()):
            for found in version.get("resources", ()):
                kind = (found.get("responseKind") or {}).get("kind", "")
                if not kind:
                    continue  # a resource of which only subresources exist
                yield Resource(
                    group=(group.get("metadata") or {}).get("name", ""),
                    version=version["version"],
                    plural=found["resource"],
                    kind=kind,
                    namespaced=found.get("scope") == "Namespaced",
                    singular=found.get("singularResource", ""),
                    short_names=tuple(found.get("shortNames", ())),
                    verbs=frozenset(found.get("verbs", ())),
                    subresources=frozenset(sub["subresource"] for sub in found.get("subresources", ())),
                )


class Discovery:
    """The server's kinds, asked for when first needed and again whenever one is missing."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._catalog: Catalog | None = None

    def catalog(self, *, timeout: float | None = None) -> Catalog:
        """The kinds as last seen."""
        return self._catalog or self.refresh(timeout=timeout)

    def refresh(self, *, timeout: float | None = None) -> Catalog:
        """The kinds as of now."""
        found = [
            resource
            for path in ("/api", "/apis")
            for resource in read_groups(self._rest.call("GET", path, accept=ACCEPT, timeout=timeout))
        ]
        self._catalog = Catalog(tuple(found))
        return self._catalog

    def of(self, api_version: str, kind: str) -> Resource | None:
        """The kind of an object, or None."""
        return self.catalog().of(api_version, kind) or self.refresh().of(api_version, kind)

    def called(self, word: str) -> Resource:
        """The kind that `word` means, or an ApiError (404) that suggests what may have been meant."""
        found = self.catalog().called(word) or self.refresh().called(word)
        if found is not None:
            return found
        like = self.catalog().like(word)
        hint = f"; did you mean {' or '.join(like)}?" if like else ""
        message = f"the server serves no kind {word!r}{hint} A CustomResourceDefinition must be applied first."
        raise ApiError(message, status=404, reason="NotFound", method="GET", path="/apis")

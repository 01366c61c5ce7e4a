"""Waiting until the API server shows what the data store holds.

The one rule: nothing is taken for granted because time has passed. Caches are waited for by revision, copies behind
them by canaries (see `canaries`), discovery and OpenAPI by comparison with what the baseline served.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import KubeError, NotFound, Unreachable
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.recycle import canary_objects
from vcluster_syncer.recycle.canaries import Answer, Canary
from vcluster_syncer.recycle.stored import PLURALS

_POLL_SECONDS = 0.004
_SLOW_POLL_SECONDS = 0.02
"""For what takes the API server some milliseconds to answer, and longer to come about."""
_MOST_WARMED = 20
# The API server keeps no cache of events, so there is nothing to wait for.
_UNCACHED = frozenset({"events", "ranges"})
SHAPING = frozenset(
    {"apiextensions.k8s.io/customresourcedefinitions", "apiregistration.k8s.io/apiservices"},
)
"""Collections that decide which kinds the API server serves."""

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_CORE, _GROUPS, _OPENAPI = "core discovery", "discovery", "OpenAPI"
VERSION = "version"
"""The document that tells which build an API server is."""
_SERVED: Mapping[str, Request] = {
    _CORE: Request(method="GET", path="/api", accept=_AGGREGATED),
    _GROUPS: Request(method="GET", path="/apis", accept=_AGGREGATED),
    "legacy discovery": Request(method="GET", path="/apis"),
    VERSION: Request(method="GET", path="/version"),
    # An index with a digest of each document. The documents of version 2 are never asked for: they cost 100 MB.
    _OPENAPI: Request(method="GET", path="/openapi/v3"),
}


class NotReached(Exception):
    """The API server did not come to show what is stored; the message tells what it was last seen to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Which kinds an API server serves, by what it answers to those who discover it."""

    documents: Mapping[str, bytes]
    paths: Mapping[str, str] = field(default_factory=dict)
    """Where each collection, as the data store names it, is listed."""


async def served(client: Client) -> Served:
    """Ask the API server what it serves."""
    answers = await asyncio.gather(*map(client.send_raw, _SERVED.values()))
    documents = dict(zip(_SERVED, answers, strict=True))
    return Served(documents=documents, paths=_paths(documents))


async def served_completely(client: Client, definitions: Iterable[bytes], *, timeout: float) -> Served:
    """Ask what the API server serves once that includes all `definitions` (CustomResourceDefinitions, as stored).

    Discovery and OpenAPI lag up to a second behind them; NotReached if they do for longer than `timeout` seconds.
    """
    wanted = frozenset(version for stored in definitions for version in group_versions(stored))
    deadline = time.monotonic() + timeout
    while True:
        found = await served(client)
        index = orjson.loads(found.documents[_OPENAPI]).get("paths", {})
        listed = {path.removesuffix("/" + path.rpartition("/")[2]) for path in found.paths.values()}
        missing = sorted(each for each in wanted if each not in index or f"/{each}" not in listed)
        if not missing:
            await _warm(
                client, [path for path in found.paths.values() if path.removeprefix("/").rpartition("/")[0] in wanted]
            )
            return found
        if time.monotonic() > deadline:
            raise NotReached(f"waited {timeout:g} s for these to be served: {', '.join(missing)}")
        await asyncio.sleep(_POLL_SECONDS)


async def _warm(client: Client, paths: Iterable[str]) -> None:
    """Have the API server make its caches of custom resources now: the first request for one waits a second for it.

    Where there are many, this would cost memory for kinds that no test may ever touch.
    """
    chosen = sorted(set(paths))
    if len(chosen) <= _MOST_WARMED:
        requests = [Request(method="GET", path=f"{path}?limit=1") for path in chosen]
        # One that can't be listed, for want of its conversion webhook say, is the test's business.
        await asyncio.gather(*map(client.send_raw, requests), return_exceptions=True)


def group_versions(definition: bytes) -> Iterable[str]:
    """Yield what a stored CustomResourceDefinition serves, as paths: `apis/example.com/v1`."""
    stored = orjson.loads(definition)
    spec, conditions = stored["spec"], stored.get("status", {}).get("conditions") or ()
    if not any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions):
        return
    for version in spec["versions"]:
        if version.get("served"):
            yield f"apis/{spec['group']}/{version['name']}"


def path_of(collection: str, paths: Mapping[str, str]) -> str | None:
    """Find where a collection is listed; None where it is not served, or not cached."""
    return None if collection in _UNCACHED else paths.get(PLURALS.get(collection, collection))


class Barrier:
    """Waits for one API server; `baseline` is what it served when its baseline was taken."""

    def __init__(self, client: Client, baseline: Served, *, timeout: float) -> None:
        self._client = client
        self._baseline = baseline
        self._timeout = timeout

    async def caches(self, revisions: Mapping[str, int]) -> None:
        """Wait until the API server's cache of each collection is as young as its revision."""
        paths = {path_of(collection, self._baseline.paths): at for collection, at in revisions.items()}
        # https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions: the server waits.
        query = "?limit=1&resourceVersionMatch=NotOlderThan&resourceVersion="
        requests = [Request(method="GET", path=f"{path}{query}{at}") for path, at in paths.items() if path is not None]
        try:
            await asyncio.gather(*map(self._listed, requests))
        except KubeError as error:
            raise NotReached(f"its caches did not catch up: {error}") from error

    async def _listed(self, request: Request) -> None:
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                await self._client.send_list(request)
            except NotFound:
                # Its definition went with it, and the cache with that; whether it should have, discovery tells.
                return
            except KubeError as error:
                # It wants to be asked again where it makes a cache just now, or has waited for one as long as it does.
                if error.retry_after is None or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(_SLOW_POLL_SECONDS)
            else:
                return

    async def copies(self, named: Mapping[str, Canary]) -> None:
        """Wait until each canary takes effect."""
        await asyncio.gather(*(self._canary(name, canary) for name, canary in named.items()))

    async def namespace_gone(self, name: str) -> None:
        """Wait until nothing can be created in a deleted namespace any more."""
        lease = canary_objects.dry_run_lease(namespace=name)

        async def gone() -> str:
            try:
                await self._client.send(lease)
            except NotFound:
                return ""
            except KubeError as error:
                return str(error)
            return "objects can still be created there"

        await self._until(gone, f"namespace {name} to be gone")

    async def node_ports(self, name: str) -> None:
        """Have the API server read again which node ports are taken.

        It looks into a copy of its own, and reads the stored one only when it allocates a port and finds that it
        changed: so one is allocated, for a Service `name` that is deleted at once.
        https://github.com/kubernetes/kubernetes/blob/master/pkg/registry/core/service/allocator/storage/storage.go
        """
        create, delete = canary_objects.node_port_service(name)

        async def refused() -> str:
            try:
                await self._client.send(create)
            except KubeError as error:
                return str(error)
            return ""

        await self._until(refused, "a node port to be allocated")
        try:
            await self._client.send(delete)
        except KubeError as error:
            raise NotReached(f"the Service that had a node port allocated can't be deleted: {error}") from error

    async def controllers(self, name: str) -> None:
        """Wait until the controller manager has collected the garbage and counted for the quota `name`.

        Of all its controllers, the two that begin last: they wait until they see every kind there is.
        """

        async def uncollected() -> str:
            try:
                await self._client.send(canary_objects.look_at("configmaps", name))
            except NotFound:
                return ""
            except KubeError as error:
                return str(error)
            return "it is still there"

        async def uncounted() -> str:
            try:
                found = await self._client.send(canary_objects.look_at("resourcequotas", name))
            except KubeError as error:
                return str(error)
            return "" if found.get("status", {}).get("used") else "nothing is known to be used"

        await asyncio.gather(
            self._until(uncollected, "garbage to be collected", pause=_SLOW_POLL_SECONDS),
            self._until(uncounted, "a quota to be counted for", pause=_SLOW_POLL_SECONDS),
        )

    async def discovery(self) -> None:
        """Wait until the API server serves the baseline's kinds, no more and no less."""
        expected = self._baseline.documents
        unlike = set(_SERVED)

        async def differs() -> str:
            # OpenAPI lags for up to a second: only what differed is asked for again, and in the end all once more.
            asked = tuple(unlike) or tuple(_SERVED)
            try:
                found = await asyncio.gather(*(self._client.send_raw(_SERVED[name]) for name in asked))
            except KubeError as error:
                return str(error)
            unlike.clear()
            unlike.update(name for name, document in zip(asked, found, strict=True) if document != expected[name])
            if unlike:
                return ", ".join(sorted(unlike))
            return "" if len(asked) == len(_SERVED) else "the baseline's, one after the other"

        await self._until(differs, "discovery and OpenAPI to be the baseline's", pause=_SLOW_POLL_SECONDS)

    async def _canary(self, name: str, canary: Canary) -> None:
        request = canary.ask(name)

        async def unseen() -> str:
            try:
                answer = Answer(object=await self._client.send(request))
            except Unreachable as error:
                return str(error)
            except KubeError as error:
                answer = Answer(message=error.message)
            return (
                "" if canary.seen(name, answer) else f"{request} answered {answer.message or 'as if it were not there'}"
            )

        await self._until(unseen, f"changes of {', '.join(sorted(canary.collections))} to take effect")

    async def _until(
        self, unfinished: Callable[[], Awaitable[str]], what: str, *, pause: float = _POLL_SECONDS
    ) -> None:
        deadline = time.monotonic() + self._timeout
        while last := await unfinished():
            if time.monotonic() > deadline:
                raise NotReached(f"waited {self._timeout:g} s for {what}; last seen: {last}")
            await asyncio.sleep(pause)


def _paths(documents: Mapping[str, bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for root in (_CORE, _GROUPS):
        for group in orjson.loads(documents[root]).get("items", ()):
            name = (group.get("metadata") or {}).get("name", "")
            for version in group.get("versions", ()):
                path = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
                for resource in version.get("resources", ()):
                    plural = resource["resource"]
                    if "list" in resource.get("verbs", ()):
                        # Built-in collections are stored under their plural alone, all others under their group too.
                        found.setdefault(plural, f"{path}/{plural}")
                        found.setdefault(f"{name}/{plural}", f"{path}/{plural}")
    return found

"""The host as all tenants share it: one watch per resource, whatever the number of tenants.

The one rule: a namespaced host object goes to the tenant whose namespace it is in, a cluster-scoped one to whoever a
kind says it belongs to. Nothing is kept for tenants that are not here: a new one reads its own share itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable, Sequence
from typing import Any

from vcluster_syncer.engine.guard import guarded
from vcluster_syncer.engine.memory import Memory, host_owners
from vcluster_syncer.engine.metrics import Metrics
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.engine.watch import Watch, list_all
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import KubeError, NotFound
from vcluster_syncer.model import NAMESPACES, Kind, Resource

_log = logging.getLogger(__name__)


class _Router:
    """The sink of one shared watch. A bug met in one tenant's share must not end the watch for the others."""

    def __init__(self, resource: Resource, tenants: dict[str, Memory]) -> None:
        self._resource = resource
        self._tenants = tenants

    def replace(self, objects: Iterable[dict[str, Any]], revision: int, *, asked_at: float | None = None) -> None:
        """Give every tenant its part of a complete list."""
        everything = list(objects)
        if not self._resource.namespaced:
            for memory in tuple(self._tenants.values()):
                guarded(None, memory.host_objects[self._resource].replace, everything, revision, asked_at=asked_at)
            return
        by_namespace: dict[str, list[dict[str, Any]]] = {}
        for obj in everything:
            by_namespace.setdefault(obj["metadata"]["namespace"], []).append(obj)
        for memory in tuple(self._tenants.values()):
            share = [obj for namespace in memory.host_namespaces() for obj in by_namespace.get(namespace, ())]
            guarded(None, memory.host_objects[self._resource].replace, share, revision, asked_at=asked_at)

    def upsert(self, obj: dict[str, Any]) -> None:
        """Pass on an object that was added or changed."""
        for memory in self._concerned(obj):
            guarded(None, memory.host_objects[self._resource].upsert, obj)

    def remove(self, obj: dict[str, Any]) -> None:
        """Pass on that an object was deleted."""
        for memory in self._concerned(obj):
            guarded(None, memory.host_objects[self._resource].remove, obj)

    def vanish(self) -> None:
        """Tell every tenant that the host has no such collection."""
        for memory in tuple(self._tenants.values()):
            guarded(None, memory.host_objects[self._resource].vanish)

    def _concerned(self, obj: dict[str, Any]) -> Iterable[Memory]:
        if not self._resource.namespaced:
            return tuple(self._tenants.values())
        namespace = obj["metadata"]["namespace"]
        memory = self._tenants.get(namespace)
        if memory is not None:
            return (memory,)
        return [memory for memory in self._tenants.values() if memory.lives_in(namespace)]


class HostSide:
    """The host's watches and who is attached to them; `namespace` is the only one to watch, where we may not more."""

    def __init__(
        self,
        client: Client,
        kinds: Sequence[Kind],
        *,
        namespace: str = "",
        timing: Timing,
        jitter: random.Random,
        metrics: Metrics | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.client = client
        self._timing = timing
        self._jitter = jitter
        self._tenants: dict[str, Memory] = {}
        owners = host_owners(kinds)
        self._optional = frozenset(resource for resource in owners if all(kind.optional for kind in owners[resource]))
        self.watches = tuple(
            Watch(
                client,
                resource,
                _Router(resource, self._tenants),
                namespace=namespace if resource.namespaced else "",
                timing=timing,
                jitter=jitter,
                restarted=lambda resource: self.metrics.watch_restarts.add("host", resource.plural),
                optional=resource in self._optional,
            )
            for resource in owners
        )

    async def run(self) -> None:
        """Watch and patrol until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for watch in self.watches:
                tasks.create_task(watch.run(), name=f"host watch of {watch.resource.plural}")
            while True:
                await asyncio.sleep(self._timing.patrol * self._jitter.uniform(0.9, 1.1))
                await patrol(self.watches)

    def trouble(self) -> str:
        """Why nothing can be learnt from the host at the moment, empty if something can.

        One collection that can't be read (rights, a definition that is not there) is no trouble of the host's.
        """
        if any(watch.synced.is_set() and not watch.ailing for watch in self.watches):
            return ""
        return next((watch.last_error for watch in self.watches if watch.last_error), "nothing was read yet")

    def attach(self, memory: Memory) -> None:
        """Let a tenant have its share from now on; ValueError if its namespace is taken."""
        namespace = memory.tenant.host_namespace
        other = self._tenants.get(namespace)
        if other is not None:
            raise ValueError(
                f"host namespace {namespace!r} already carries the tenant {other.tenant.name!r}; "
                f"give tenant {memory.tenant.name!r} a namespace of its own"
            )
        self._tenants[namespace] = memory

    def detach(self, memory: Memory) -> None:
        """Stop telling a tenant anything."""
        if self._tenants.get(memory.tenant.host_namespace) is memory:
            del self._tenants[memory.tenant.host_namespace]

    async def read(self, memory: Memory) -> None:
        """Read the share of an attached tenant as it is on the server now; tries until it succeeds or is cancelled."""
        resources = set(memory.host_objects)
        if memory.tenant.each_namespace:
            # They tell where the rest is.
            await self._read(NAMESPACES, memory)
            resources.remove(NAMESPACES)
        async with asyncio.TaskGroup() as tasks:
            for resource in resources:
                tasks.create_task(self._read(resource, memory))

    async def _read(self, resource: Resource, memory: Memory) -> None:
        failures = 0
        namespaces = memory.host_namespaces() if resource.namespaced else ("",)
        while True:
            asked_at = time.monotonic()
            try:
                lists = [await list_all(self.client, resource, namespace=namespace) for namespace in namespaces]
            except KubeError as error:
                if isinstance(error, NotFound) and resource in self._optional:
                    memory.host_objects[resource].vanish()
                    return
                failures += 1
                _log.info("tenant %s: %s", memory.tenant.name, error)
                pause = self._timing.reconnect.after(failures, jitter=self._jitter)
                await asyncio.sleep(max(pause, error.retry_after or 0.0))
            else:
                objects = [obj for share, _ in lists for obj in share]
                revision = min((revision for _, revision in lists), default=0)
                memory.host_objects[resource].replace(objects, revision, asked_at=asked_at)
                return


async def patrol(watches: Iterable[Watch]) -> None:
    """Compare each memory with its server, one after the other; what fails is tried again on the next patrol."""
    for watch in watches:
        try:
            await watch.patrol()
        except KubeError as error:
            _log.info("patrol of %s: %s", watch.resource.plural, error)

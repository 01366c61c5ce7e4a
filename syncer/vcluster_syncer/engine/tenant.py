"""One tenant: its client, its watches, its memory, its queue, in one task group.

The one rule: everything of a tenant ends with `carry`. Nothing outlives it, no other tenant notices.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vcluster_syncer import ownership
from vcluster_syncer.engine.controller import Controller
from vcluster_syncer.engine.execute import Executor
from vcluster_syncer.engine.host_side import HostSide, patrol
from vcluster_syncer.engine.latency import Latency
from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.engine.queue import Queue
from vcluster_syncer.engine.store import revision_of
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.engine.watch import Watch
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.model import EVENTS, Key, Kind, Object, Reference, Resource, Tenant, World

_log = logging.getLogger(__name__)
Name = tuple[str, str, str]
"""Plural, namespace and name of a virtual object."""
_PATROL_AT_ONCE = 200
_DRAIN_POLL = 0.004


class NotSynced(Exception):
    """A tenant's lists could not be read in time; the message tells which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all tenants of a process have in common."""

    kinds: Sequence[Kind]
    host: HostSide
    timing: Timing
    jitter: random.Random
    now: Callable[[], float]
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Insight:
    """A tenant from inside, for whoever explains it."""

    world: World
    host_events: Sequence[Object]
    queued: Mapping[Reference, str]
    """Keys that are in the queue: ready, active or delayed."""
    errors: Mapping[Reference, str]
    """What last went wrong with keys that are not in order."""


class TenantSync:
    """Carries one virtual cluster on the host."""

    def __init__(self, tenant: Tenant, server: Server, around: Surroundings) -> None:
        self.tenant = tenant
        self._server = server
        self._around = around
        self._queue: Queue[Reference] | None = None
        self._watches: tuple[Watch, ...] = ()
        self._is_ready = False
        self._latency = Latency(around.host.metrics.sync_seconds, time.monotonic)
        self._memory = Memory(tenant, around.kinds, enqueue=self._enqueue, clock=around.now, latency=self._latency)

    @property
    def world(self) -> Memory:
        """What is known of the tenant's objects."""
        return self._memory

    async def carry(self, *, ready: Callable[[], None]) -> None:
        """Sync until cancelled. Calls `ready` once everything was read and looked at; NotSynced if that can't be."""
        around, memory = self._around, self._memory
        around.host.attach(memory)
        try:
            async with (
                Client.open(self._server, timeout=around.timing.request) as client,
                asyncio.TaskGroup() as tasks,
            ):
                executor = Executor(memory, virtual=client, host=around.host.client)
                clock = asyncio.get_running_loop().time
                controller = Controller(
                    memory,
                    executor,
                    timing=around.timing,
                    clock=clock,
                    metrics=around.host.metrics,
                    latency=self._latency,
                )
                self._queue = Queue(
                    controller.work,
                    spawn=tasks.create_task,
                    timing=around.timing,
                    jitter=around.jitter,
                    can_wait=lambda reference: memory.kinds[reference[0]].can_wait,
                )
                self._watches = tuple(
                    Watch(
                        client,
                        resource,
                        store,
                        timing=around.timing,
                        jitter=around.jitter,
                        restarted=lambda resource: around.host.metrics.watch_restarts.add("virtual", resource.plural),
                        optional=memory.kinds[resource].optional,
                    )
                    for resource, store in memory.virtual_stores.items()
                )
                self._watches += self._imports(around.host.client)
                for watch in self._watches:
                    tasks.create_task(watch.run(), name=f"{self.tenant.name}: watch of {watch.resource.plural}")
                try:
                    await self._read()
                    memory.go_live()
                    self._queue.start()
                    await self._settle(self._queue)
                    self._is_ready = True
                    ready()
                    await self._patrol()
                finally:
                    # Before the group waits for its tasks to end: nobody may give it new ones meanwhile.
                    around.host.detach(memory)
                    self._queue.close()
        finally:
            self._is_ready = False
            around.host.detach(memory)

    def _imports(self, host: Client) -> tuple[Watch, ...]:
        # Of its own and of one namespace each: that is all the right that an import needs.
        timing, jitter, metrics = self._around.timing, self._around.jitter, self._around.host.metrics
        return tuple(
            Watch(
                host,
                resource,
                store,
                namespace=namespace,
                timing=timing,
                jitter=jitter,
                restarted=lambda resource: metrics.watch_restarts.add("host", resource.plural),
            )
            for (resource, namespace), store in self._memory.imports.items()
        )

    def trouble(self) -> str:
        """Why this tenant's virtual cluster is not followed at the moment, empty if it is."""
        if not self._is_ready:
            return f"still being read; last seen from {self._server.url}: {self._last_seen()}"
        return next((f"{watch.resource.plural}: {watch.last_error}" for watch in self._watches if watch.ailing), "")

    def insight(self) -> Insight:
        """What is known of this tenant, and how its keys are doing, at this moment."""
        events = self._memory.host_objects.get(EVENTS)
        return Insight(
            world=self._memory,
            host_events=() if events is None else tuple(events.all()),
            queued={} if self._queue is None else self._queue.depths,
            errors={} if self._queue is None else dict(self._queue.errors),
        )

    def describe(self) -> dict[str, Any]:
        """Tell per kind what is remembered and queued, and all that is not in order."""
        depths = {} if self._queue is None else self._queue.depths
        errors = {} if self._queue is None else self._queue.errors
        counts: dict[tuple[Resource, str], int] = {}
        for (resource, _), state in depths.items():
            counts[resource, state] = counts.get((resource, state), 0) + 1
        kinds = {
            resource.plural: {
                "virtual": len(self._memory.virtual_stores.get(resource, ())),
                "host": len(self._memory.host_objects.get(resource, ())),
                **{state: counts.get((resource, state), 0) for state in ("ready", "active", "delayed")},
            }
            for resource in self._memory.kinds
        }
        return {
            "kinds": kinds,
            "watch_restarts": sum(watch.restarts for watch in self._watches),
            "errors": [
                *(f"{resource.kind} {_shown(key)}: {why}" for (resource, key), why in errors.items()),
                *(f"watch of {watch.resource.plural}: {watch.last_error}" for watch in self._watches if watch.ailing),
            ],
        }

    async def drained(
        self, deleted: Mapping[Name, int], put: Mapping[Name, int] | None = None, *, timeout: float
    ) -> str:
        """Wait until nothing is remembered, left on the host or still to be done of objects that are gone.

        For after the virtual cluster was put back to an earlier state: `deleted` tells what went, and the revision of
        its end. What is there under that name but younger was made afterwards, by a controller that missed it: whoever
        put the cluster back finds that too. `put` tells what is as it was, and since which revision; what the host was
        told of its interlude is taken back. Returns nothing, or what is left after `timeout` seconds.
        """
        # Objects of a definition are stored under their group, too.
        plurals = {
            name: resource
            for resource in self._memory.virtual_stores
            for name in (resource.plural, f"{resource.group}/{resource.plural}")
        }
        # Who is there must be as young as what was put back; who went is there no more, or younger than its end.
        told = [
            *((name, end, True) for name, end in deleted.items()),
            *((name, at, False) for name, at in (put or {}).items()),
        ]
        waiting = {
            (plurals[plural], Key(*key)): (revision, ended)
            for (plural, *key), revision, ended in told
            if plural in plurals
        }
        try:
            async with asyncio.timeout(timeout):
                while self._queue is not None:
                    waiting = {each: what for each, what in waiting.items() if self._is_behind(each, *what)}
                    if not waiting:
                        self._queue.recall()
                        await self._queue.settled()
                        if not self._orphans():
                            return ""
                    await asyncio.sleep(_DRAIN_POLL)
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            # Of the queue, because the engine has failed; unless it is the caller who is to end.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
        remembered = [
            f"{resource.kind} {_shown(key)}, of whose {'end' if ended else 'return'} no watch told"
            for (resource, key), (_, ended) in waiting.items()
        ]
        return ", ".join((remembered + self._orphans() + self.describe()["errors"])[:5]) or "work that never ends"

    def _is_behind(self, reference: Reference, revision: int, ended: bool) -> bool:  # noqa: FBT001 - as it is stored
        remembered = self._memory.virtual(*reference)
        return not ended if remembered is None else revision_of(remembered) < revision

    def _orphans(self) -> list[str]:
        """Host objects that we made for virtual objects that don't exist."""
        found = []
        for resource, objects in self._memory.host_objects.items():
            for owner in objects.owners:
                store = self._memory.virtual_stores.get(owner)
                for key in objects.keys(owner) if store is not None else ():
                    host = objects.of(owner, key)
                    if host is None or ownership.KIND not in ownership.annotations_of(host):
                        continue
                    if store is not None and store.get(key) is None:
                        found.append(f"{resource.kind} {host['metadata']['name']} (of {_shown(key)})")
        return found

    async def _read(self) -> None:
        """Wait until both sides are read. Acting on one side alone would delete the other."""
        try:
            async with asyncio.timeout(self._around.timing.synced), asyncio.TaskGroup() as reads:
                reads.create_task(self._around.host.read(self._memory))
                for watch in self._watches:
                    reads.create_task(_synced(watch))
        except TimeoutError as error:
            raise NotSynced(self._unread()) from error

    def _last_seen(self) -> str:
        lines = [
            f"{watch.resource.plural}: {watch.last_error or 'no answer yet'}"
            for watch in self._watches
            if not watch.synced.is_set()
        ]
        return "; ".join(lines) or "all of the virtual cluster, but not all of the host"

    def _unread(self) -> str:
        return (
            f"tenant {self.tenant.name!r}: its objects were not read within {self._around.timing.synced:g} s. "
            f"Last seen from {self._server.url}: {self._last_seen()}. Check that the API server there is up and that "
            "the kubeconfig in `virtual.kubeconfig` may list."
        )

    async def _settle(self, queue: Queue[Reference]) -> None:
        try:
            async with asyncio.timeout(self._around.timing.settled):
                await queue.settled()
        except TimeoutError:
            _log.warning(
                "tenant %s: not everything is in order after %g s: %s",
                self.tenant.name,
                self._around.timing.settled,
                list(queue.errors.values())[:3],
            )

    async def _patrol(self) -> None:
        """Compare slowly, for ever. What no watch told us and no bug let us do is put right here."""
        timing, jitter = self._around.timing, self._around.jitter
        while True:
            await asyncio.sleep(timing.patrol * jitter.uniform(0.9, 1.1))
            await patrol(self._watches)
            for number, reference in enumerate(list(self._memory.all_keys())):
                self._enqueue(reference)
                if number % _PATROL_AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _enqueue(self, reference: Reference) -> None:
        if self._queue is not None:
            self._queue.add(reference)


async def _synced(watch: Watch) -> None:
    await watch.synced.wait()


def _shown(key: Key) -> str:
    return f"{key.namespace}/{key.name}" if key.namespace else key.name

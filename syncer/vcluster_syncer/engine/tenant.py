"""One tenant: its client, its watches, its memory, its queue, in one task group.

The one rule: everything of a tenant ends with `carry`. Nothing outlives it, no other tenant notices.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vcluster_syncer.engine import introduction
from vcluster_syncer.engine.controller import Controller
from vcluster_syncer.engine.drain import Drain, Name, shown
from vcluster_syncer.engine.execute import Executor
from vcluster_syncer.engine.host_side import HostSide, patrol
from vcluster_syncer.engine.latency import Latency
from vcluster_syncer.engine.leftovers import Leftovers
from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.engine.queue import Queue
from vcluster_syncer.engine.refresh import Refresh
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.engine.watch import Watch
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.model import EVENTS, Key, Kind, Object, Reference, Resource, Tenant, World

_log = logging.getLogger(__name__)
_PATROL_AT_ONCE = 200


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
        self._server = server
        self._around = around
        self._queue: Queue[Reference] | None = None
        self._leftovers: Leftovers | None = None
        self._watches: tuple[Watch, ...] = ()
        self._is_ready = False
        self._latency = Latency(around.host.metrics.sync_seconds, time.monotonic)
        self._memory = Memory(
            tenant,
            around.kinds,
            enqueue=self._enqueue,
            clock=around.now,
            latency=self._latency,
            left=self._leave if tenant.drains_in_background else None,
        )

    @property
    def tenant(self) -> Tenant:
        """Who is carried, in its present epoch."""
        return self._memory.tenant

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
                    goes_first=memory.is_on_host,
                )
                if self.tenant.drains_in_background:
                    self._leftovers = Leftovers(
                        memory,
                        around.host.client,
                        Refresh(memory, virtual=client, host=around.host.client),
                        spawn=tasks.create_task,
                        timing=around.timing,
                        jitter=around.jitter,
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
                    await self._read(client)
                    if self._leftovers is not None:
                        memory.resume_epoch()
                        self._leftovers.start()
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
                    if self._leftovers is not None:
                        self._leftovers.close()
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
            "epoch": self.tenant.epoch,
            "left_over": 0 if self._leftovers is None else len(self._leftovers),
            "watch_restarts": sum(watch.restarts for watch in self._watches),
            "errors": [
                *(f"{resource.kind} {shown(key)}: {why}" for (resource, key), why in errors.items()),
                *(f"watch of {watch.resource.plural}: {watch.last_error}" for watch in self._watches if watch.ailing),
            ],
        }

    async def drained(
        self, deleted: Mapping[Name, int], put: Mapping[Name, int] | None = None, *, timeout: float
    ) -> str:
        """Wait until the host has let go of what is gone from the virtual cluster; see `Drain.drained`."""
        if self._queue is None:
            return "all of it: the tenant is not up"
        drain = Drain(self._memory, self._queue, self._leftovers, errors=lambda: self.describe()["errors"])
        return await drain.drained(deleted, put or {}, timeout=timeout)

    async def _read(self, client: Client) -> None:
        """Wait until both sides are read. Acting on one side alone would delete the other."""
        try:
            async with asyncio.timeout(self._around.timing.synced), asyncio.TaskGroup() as reads:
                reads.create_task(self._around.host.read(self._memory))
                for watch in self._watches:
                    reads.create_task(_synced(watch))
                if self.tenant.fake_node is not None:
                    reads.create_task(self._introduce(client))
        except TimeoutError as error:
            raise NotSynced(self._unread()) from error

    async def _introduce(self, client: Client) -> None:
        known = await introduction.fake_node(client, timing=self._around.timing, jitter=self._around.jitter)
        self._memory.become(replace(self.tenant, fake_node=known))

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
            if self._leftovers is not None:
                self._leftovers.add_all()
            for number, reference in enumerate(list(self._memory.all_keys())):
                self._enqueue(reference)
                if number % _PATROL_AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _leave(self, resource: Resource, place: Key) -> None:
        if self._leftovers is not None:
            self._leftovers.add((resource, place))

    def _enqueue(self, reference: Reference) -> None:
        if self._queue is not None:
            self._queue.add(reference)


async def _synced(watch: Watch) -> None:
    await watch.synced.wait()

"""The pool of virtual clusters: preparing, ready, leased, and then recycled or retired.

The one rule: `plan` decides, this module does. Every cluster has one task that holds its context from start to end; all
else is bookkeeping in one event loop, so nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_vcluster.controlplane.component import Death
from pytest_vcluster.errors import ProvisionError, ToolchainError
from pytest_vcluster.service.backplane import Backplane, VirtualCluster
from pytest_vcluster.service.gate import Gate, open_gate
from pytest_vcluster.service.plan import Key, Prepare, RetireReady, StartHost, State, next_step
from pytest_vcluster.service.statistics import Statistics


class Phase(enum.Enum):
    """Where a cluster is in its life."""

    PREPARING = "preparing"
    READY = "ready"
    LEASED = "leased"
    KEPT = "kept"
    RETIRING = "retiring"


@dataclass(eq=False, slots=True)
class Slot:
    """One cluster of the pool. `over` ends it; the task that holds it does the rest."""

    key: Key
    phase: Phase = Phase.PREPARING
    cluster: VirtualCluster | None = None
    gate: Gate | None = None
    prepared_seconds: float = 0.0
    kubeconfig: str = ""
    """Path of a kept cluster's kubeconfig."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    lost: list[Death] = field(default_factory=list)
    """Deaths of what all clusters share."""

    @property
    def deaths(self) -> list[Death]:
        """Everything this cluster needed and that has ended."""
        return [*(self.cluster.deaths if self.cluster else ()), *self.lost]

    async def on_host(self) -> None:
        """Wait until the cluster has its nodes; ProvisionError if it dies first."""
        assert self.cluster is not None
        waits = [asyncio.ensure_future(event.wait()) for event in (self.cluster.on_host, self.cluster.died)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self.deaths:
            raise ProvisionError(f"{self.cluster.name}: {self.deaths[0].component} {self.deaths[0].status}")


@dataclass(eq=False, slots=True)
class Waiter:
    """A lease request that is not served yet."""

    key: Key
    served: asyncio.Future[Slot]
    since: float = field(default_factory=time.monotonic)


class Pool:
    """Clusters on one backplane."""

    def __init__(self, backplane: Backplane, *, capacity: int, starts_at_once: int, statistics: Statistics) -> None:
        self._backplane = backplane
        self._capacity = capacity
        self._starts_at_once = starts_at_once
        self._statistics = statistics
        self._slots: list[Slot] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiters: deque[Waiter] = deque()
        self._expected: dict[str, int] = {}
        self._granted: Counter[str] = Counter()
        self._spares: dict[Key, None] = {}
        self._failures: dict[Key, Exception] = {}
        self._host: asyncio.Task[None] | None = None
        self._any_started = False
        self._closing = False

    async def lease(self, key: Key, *, expected: Mapping[str, int]) -> Slot:
        """Wait for a cluster of `key` and take it; raises what went wrong while it was prepared."""
        for version, count in expected.items():
            self._expected[version] = max(count, self._expected.get(version, 0))
        if key.version in expected:
            self._spares.setdefault(key)
        if key in self._failures:
            raise self._failures[key]
        waiter = Waiter(key, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._advance()
        try:
            slot = await waiter.served
        except asyncio.CancelledError:
            # The worker went away while it waited; a cluster that had just become its own is the next one's.
            if waiter.served.done() and not waiter.served.cancelled() and waiter.served.exception() is None:
                self._ready(waiter.served.result())
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)
        assert slot.cluster is not None
        try:
            slot.gate = await open_gate(slot.cluster.backend)
        except BaseException:
            self.retire(slot)
            raise
        self._statistics.acquired(time.monotonic() - waiter.since)
        return slot

    def release(self, slot: Slot) -> None:
        """Take a leased cluster back: cut its clients off, and throw it away (a recycler would put it back)."""
        if slot.gate is not None:
            slot.gate.close()
        self.retire(slot)

    def keep(self, slot: Slot, *, kubeconfig: str) -> None:
        """Leave a leased cluster and its gate as they are until `retire`; people find it by the path `kubeconfig`."""
        slot.kubeconfig = kubeconfig
        slot.phase = Phase.KEPT

    @property
    def kept(self) -> list[Slot]:
        """The clusters that were kept."""
        return [slot for slot in self._slots if slot.phase is Phase.KEPT]

    def retire(self, slot: Slot) -> None:
        """Throw a cluster away; what replaces it, if anything, is decided at once."""
        if slot.phase is Phase.RETIRING:
            return
        if slot.gate is not None:
            slot.gate.close()
        slot.phase = Phase.RETIRING
        self._statistics.retired += 1
        slot.over.set()
        self._advance()

    def fail(self, deaths: list[Death]) -> None:
        """Tell every cluster that what they share has died."""
        self._closing = True
        for slot in self._slots:
            slot.lost.extend(deaths)

    async def close(self) -> None:
        """End all clusters."""
        self._closing = True
        for waiter in self._waiters:
            if not waiter.served.done():
                waiter.served.set_exception(ProvisionError("The run ended while a test waited for its cluster."))
        for slot in self._slots:
            if slot.gate is not None:
                slot.gate.close()
            slot.over.set()
        for task in self._tasks:
            task.cancel()
        if self._host is not None:
            self._host.cancel()
        await asyncio.gather(*self._tasks, *([self._host] if self._host else []), return_exceptions=True)

    def _advance(self) -> None:
        if self._closing:
            return
        self._serve()
        while (step := next_step(self._state())) is not None:
            if isinstance(step, Prepare):
                slot = Slot(step.key)
                self._slots.append(slot)
                self._any_started = True
                task = asyncio.get_running_loop().create_task(self._life(slot))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif isinstance(step, StartHost):
                self._host = asyncio.get_running_loop().create_task(self._start_host())
            elif isinstance(step, RetireReady):
                self.retire(next(s for s in self._slots if s.phase is Phase.READY and s.key == step.key))
                return

    def _serve(self) -> None:
        for waiter in self._waiters:
            if waiter.served.done():
                continue
            for slot in self._slots:
                if slot.phase is Phase.READY and slot.key == waiter.key:
                    slot.phase = Phase.LEASED
                    self._granted[slot.key.version] += 1
                    waiter.served.set_result(slot)
                    break

    def _state(self) -> State:
        count = Counter(slot.phase for slot in self._slots)
        host_starting = self._host is not None and not self._host.done()
        return State(
            waiting=[waiter.key for waiter in self._waiters if not waiter.served.done()],
            ready=Counter(slot.key for slot in self._slots if slot.phase is Phase.READY),
            preparing=Counter(slot.key for slot in self._slots if slot.phase is Phase.PREPARING),
            in_use=count[Phase.LEASED] + count[Phase.RETIRING],
            capacity=self._capacity,
            starting=count[Phase.PREPARING] + host_starting,
            starts_at_once=self._starts_at_once,
            host_started=self._host is not None,
            any_started=self._any_started,
            spares=list(self._spares),
            still_expected={version: expected - self._granted[version] for version, expected in self._expected.items()},
        )

    async def _life(self, slot: Slot) -> None:
        began = time.monotonic()
        try:
            async with self._backplane.virtual_cluster(version=slot.key.version, nodes=slot.key.nodes) as cluster:
                slot.cluster = cluster
                slot.prepared_seconds = time.monotonic() - began
                self._statistics.prepared(slot.prepared_seconds)
                self._ready(slot)
                await self._until_over(slot, cluster)
        except Exception as error:
            self._failed(slot, error)
        finally:
            self._slots.remove(slot)
            self._advance()

    async def _until_over(self, slot: Slot, cluster: VirtualCluster) -> None:
        over = asyncio.ensure_future(slot.over.wait())
        died = asyncio.ensure_future(cluster.died.wait())
        try:
            await asyncio.wait((over, died), return_when=asyncio.FIRST_COMPLETED)
            if not slot.over.is_set():
                self._statistics.deaths += len(cluster.deaths)
                if slot.phase is Phase.READY:
                    self.retire(slot)  # nobody has seen it; it is replaced without a word
                await slot.over.wait()
        finally:
            over.cancel()
            died.cancel()

    def _ready(self, slot: Slot) -> None:
        slot.phase = Phase.READY
        self._advance()

    def _failed(self, slot: Slot, error: Exception) -> None:
        if slot.cluster is not None:
            return  # it was ready; what goes wrong while it is thrown away is nobody's error
        self._spares.pop(slot.key, None)  # no spares of what fails, until a test asks for it again
        if isinstance(error, ToolchainError):
            # Looking again would take as long and find the same: every test that needs it fails with this at once.
            self._failures[slot.key] = error
        for waiter in self._waiters:
            if waiter.key == slot.key and not waiter.served.done():
                waiter.served.set_exception(error)
                if not isinstance(error, ToolchainError):
                    return

    async def _start_host(self) -> None:
        try:
            await self._backplane.host_ready()
        except Exception as error:
            self._statistics.note(f"the host did not start: {error}")
        finally:
            # Behind this task's end, so that the plan no longer counts it as starting.
            asyncio.get_running_loop().call_soon(self._advance)

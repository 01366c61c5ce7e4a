"""Turning the pool's plans into clusters: preparing, handing out, taking back, throwing away.

The one rule: what `Pool` says is what is. Each seat has one task that holds the cluster's context from the first
process to the last; everything else only asks it to leave and calls `_turn`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence

from pytest_vcluster.errors import ProvisionError, VClusterError
from pytest_vcluster.service.backplane import DeathOf, VirtualCluster
from pytest_vcluster.service.failures import ending, spell
from pytest_vcluster.service.lease_terms import LeaseRequest
from pytest_vcluster.service.occupant import Occupant
from pytest_vcluster.service.planning import Prepare, Retire
from pytest_vcluster.service.pool import Pool
from pytest_vcluster.service.refusals import Refusals
from pytest_vcluster.service.seats import HostState, Key, SeatState
from pytest_vcluster.service.shared import Shared
from pytest_vcluster.service.statistics import Statistics
from pytest_vcluster.service.waiting import Tell, WaitingRoom
from pytest_vcluster.service.way_back import ALWAYS_FRESH, way_back
from pytest_vcluster.settings import NodeShape

_log = logging.getLogger(__name__)


class Clusters:
    """All clusters of a run.

    `share` makes a backplane, `forget` removes what a cluster of that name left on disk. Without `recycling` each
    cluster serves one lease only.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        share: Callable[[Callable[[str], None]], Shared],
        statistics: Statistics,
        forget: Callable[[str], None],
        recycling: bool,
    ) -> None:
        self._pool = pool
        self._share = share
        self._statistics = statistics
        self._forget = forget
        self._recycling = recycling
        self._room = WaitingRoom()
        self._refusals = Refusals(pool, self._room)
        self._shared: Shared | None = None
        self._shapes: dict[str, tuple[NodeShape, ...]] = {}
        self._occupants: dict[int, Occupant] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._host_facts: Mapping[str, object] = {}

    async def acquire(self, request: LeaseRequest, *, worker: int, tell: Tell) -> Occupant:
        """Wait for a cluster of one's own; cancel it to stop waiting. Raises why there can't be one."""
        key = Key.of(request.version, request.nodes, request.baseline)
        if self._pool.closed:
            raise ending()
        self._refusals.check(key)
        self._shapes[key.nodes] = request.nodes
        fresh = request.isolation == "fresh"
        ticket = self._pool.ask(key, worker=worker, holder=request.holder, fresh=fresh, expected=request.expected)
        waiter = self._room.enter(ticket, tell)
        self._turn()
        try:
            return await waiter.occupant
        except asyncio.CancelledError:
            if not waiter.occupant.cancelled() and waiter.occupant.exception() is None:
                self.release(waiter.occupant.result())
            raise
        finally:
            self._room.leave(ticket)
            self._pool.withdraw(ticket.number)
            self._turn()

    async def host(self, *, tell: Tell) -> Mapping[str, object]:
        """Wait for the host, and describe it."""
        if self._pool.closed:
            raise ending()
        if self._pool.host is HostState.RUNNING:
            return self._host_facts
        future = self._room.enter_for_host(tell)
        self._pool.host_wanted = True
        self._turn()
        return await future

    def release(self, occupant: Occupant) -> None:
        """Take a leased cluster back; it is recycled, or thrown away."""
        if occupant.seat in self._occupants and self._pool.seat(occupant.seat).state is SeatState.LEASED:
            occupant.close_gate()
            self._pool.move(occupant.seat, SeatState.RECYCLING)
            self._spawn(self._recycled(occupant))

    def keep(self, occupant: Occupant) -> bool:
        """Leave a leased cluster to the user until `end`; False if it is ending already."""
        if occupant.seat not in self._occupants or occupant.leaving or occupant.deaths:
            return False
        self._pool.move(occupant.seat, SeatState.KEPT)
        self._turn()
        return True

    def is_laid(self, occupant: Occupant) -> bool:
        """Whether a leased cluster has its baseline."""
        return not occupant.key.baseline or self._pool.seat(occupant.seat).laid

    def laid(self, occupant: Occupant) -> None:
        """Note that a leased cluster got its baseline from its lessee."""
        if occupant.seat in self._occupants:
            self._pool.laid(occupant.seat)
            self._turn()

    def not_laid(self, occupant: Occupant, error: VClusterError) -> None:
        """Give up a baseline: everybody who asks for it in this run is told `error`."""
        self._refusals.refuse_for_good(occupant.key, error)
        self._turn()

    def end(self, occupant: Occupant) -> None:
        """Throw a cluster away, whatever its state; harmless if that is under way."""
        if occupant.seat in self._occupants and self._pool.seat(occupant.seat).state is not SeatState.RETIRED:
            self._pool.move(occupant.seat, SeatState.RETIRED)
        occupant.leave()

    def stop_preparing(self) -> None:
        """Serve nobody any more: what isn't leased or kept ends, and who waits is told so."""
        self._pool.closed = True
        self._refusals.refuse(None, ending())
        for occupant in tuple(self._occupants.values()):
            if self._pool.seat(occupant.seat).state in (SeatState.READY, SeatState.PREPARING):
                self.end(occupant)

    async def close(self) -> None:
        """End everything."""
        self.stop_preparing()
        for occupant in tuple(self._occupants.values()):
            self.end(occupant)
        if self._shared is not None:
            self._shared.close()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def describe(self) -> dict[str, str]:
        """State of every cluster by name."""
        return {
            occupant.cluster.name: self._pool.seat(occupant.seat).state.value
            for occupant in self._occupants.values()
            if occupant.cluster is not None
        }

    def _turn(self) -> None:
        """Do whatever follows from the books as they are now."""
        for ticket, seat in self._pool.granted():
            waiter, occupant = self._room.leave(ticket), self._occupants[seat.number]
            self._refusals.served(ticket.key)
            if waiter is None or waiter.occupant.done():  # cancelled in this very moment
                self.release(occupant)
            else:
                waiter.occupant.set_result(occupant)
        for action in self._pool.plan():
            if isinstance(action, Prepare):
                self._prepare(action)
            elif isinstance(action, Retire):
                self.end(self._occupants[action.seat])
            else:
                self._pool.host = HostState.STARTING
                self._spawn(self._start_host(self._opened()))
        self._statistics.peak = max(self._statistics.peak, len(self._occupants))
        self._room.tell_situation(self._pool.seats, self._pool.limits)

    def _opened(self) -> Shared:
        if self._shared is None:
            self._shared = self._share(self._room.tell)
            self._spawn(self._run_shared(self._shared))
        return self._shared

    async def _run_shared(self, shared: Shared) -> None:
        try:
            await shared.run(lambda deaths: self._empty(shared, deaths))
        except Exception as error:
            _log.exception("the backplane failed")
            self._refusals.refuse(None, error)
        finally:
            self._abandon(shared)
            self._turn()

    def _empty(self, shared: Shared, deaths: Sequence[DeathOf]) -> None:
        """Have all clusters of a backplane leave that died (of `deaths`) or is to be closed."""
        self._abandon(shared)
        if shared.closing:
            deaths = ()  # they are our own doing
        if deaths and not shared.useful:
            error = ProvisionError("What all clusters share died as soon as it ran.\n" + spell(deaths))
            self._refusals.refuse(None, error)
        for occupant in [each for each in self._occupants.values() if each.shared is shared]:
            if deaths:
                occupant.suffer(deaths)
            self.end(occupant)
        self._turn()

    def _abandon(self, shared: Shared) -> None:
        if self._shared is shared:
            self._shared = None  # whoever asks next opens another one
            self._pool.start_over()

    def _prepare(self, action: Prepare) -> None:
        if action.beyond:
            self._statistics.note(
                f"pool exceeded: {self._pool.limits.size} clusters were too few for tests that hold one and ask for "
                "another; raise --vcluster-pool, or use fewer workers (-n)"
            )
        seat = self._pool.prepare(action.key)
        occupant = self._occupants[seat.number] = Occupant(seat.number, action.key, self._opened())
        occupant.shared.enter()
        occupant.preparing = self._spawn(self._occupy(occupant))
        occupant.preparing.add_done_callback(lambda _: self._vacate(occupant))

    async def _occupy(self, occupant: Occupant) -> None:
        began = time.monotonic()
        key = occupant.key
        try:
            backplane = await occupant.shared.backplane()
            nodes = self._shapes[key.nodes]
            async with backplane.virtual_cluster(version=key.version, nodes=nodes, baseline=key.baseline) as cluster:
                occupant.cluster = cluster
                occupant.prepared_seconds = time.monotonic() - began
                occupant.shared.useful = True
                self._statistics.prepared(occupant.prepared_seconds)
                if not occupant.leaving:
                    self._pool.move(occupant.seat, SeatState.READY)
                    if key.baseline and cluster.laid:
                        self._pool.laid(occupant.seat)
                    self._turn()
                while not await occupant.until_leaving():
                    self._cluster_died(occupant, cluster)
        except Exception as error:
            if not occupant.leaving and not occupant.shared.ending:
                _log.exception("a cluster failed")
                self._refusals.refuse(key, error)

    def _vacate(self, occupant: Occupant) -> None:
        """Free the seat of a cluster that is gone."""
        occupant.close_gate()
        del self._occupants[occupant.seat]
        self._pool.gone(occupant.seat)
        occupant.shared.exit()
        if occupant.cluster is not None:
            self._statistics.retired += 1
            self._forget(occupant.cluster.name)
        self._turn()

    def _cluster_died(self, occupant: Occupant, cluster: VirtualCluster) -> None:
        if occupant.leaving:
            return
        occupant.suffer(cluster.deaths)
        state = self._pool.seat(occupant.seat).state
        if state is SeatState.READY:
            self._refusals.died_unused(occupant.key, occupant.deaths)
        if state in (SeatState.READY, SeatState.KEPT):
            self.end(occupant)

    async def _recycled(self, occupant: Occupant) -> None:
        cluster = occupant.cluster
        assert cluster is not None
        holder = self._pool.seat(occupant.seat).former
        reason = await way_back(cluster, recycling=self._recycling, laid=self.is_laid(occupant))
        self._statistics.differences += [f"after {holder}: {line}" for line in cluster.differences]
        ending = occupant.leaving or occupant.shared.ending or self._pool.closed
        if reason or ending or cluster.died.is_set():
            if reason and reason is not ALWAYS_FRESH and not ending:
                _log.info("%s is retired: %s", cluster.name, reason)
                self._statistics.not_recycled(reason)
            self.end(occupant)
        else:
            self._statistics.recycled += 1
            self._pool.move(occupant.seat, SeatState.READY)
        self._turn()

    async def _start_host(self, shared: Shared) -> None:
        try:
            facts = await (await shared.backplane()).host_ready()
        except Exception as error:
            if not shared.ending:
                _log.exception("the host failed")
                self._refusals.refuse(None, error)
                shared.close()
        else:
            if self._shared is shared:
                self._pool.host = HostState.RUNNING
                self._pool.host_wanted = False
                self._host_facts = facts
                self._room.host_runs(facts)
            self._turn()

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

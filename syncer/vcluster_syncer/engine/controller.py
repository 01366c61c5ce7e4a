"""One pass over one key, the same for every kind: look at the world, ask the kind, do what it says.

The one rule: it decides nothing. What should be is the kind's word, how to retry is the queue's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from vcluster_syncer.engine.execute import Executor
from vcluster_syncer.engine.latency import Changes, Latency
from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.engine.metrics import Metrics
from vcluster_syncer.engine.outcomes import DONE, Done, Failed, Later, Outcome, Refused, Rejected, Stale
from vcluster_syncer.engine.store import uid_of
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.model import Later as LaterAction
from vcluster_syncer.model import Object, Reference

_log = logging.getLogger(__name__)

_REJECTED = "SyncError"


@dataclass(slots=True)
class _Writes:
    since: float
    passes: int


class Controller:
    """The passes of one tenant. `clock` counts seconds for noticing fights."""

    def __init__(
        self,
        memory: Memory,
        executor: Executor,
        *,
        timing: Timing,
        clock: Callable[[], float],
        metrics: Metrics | None = None,
        latency: Latency | None = None,
    ) -> None:
        self._memory = memory
        self._executor = executor
        self._timing = timing
        self._clock = clock
        self._metrics = metrics or Metrics()
        self._latency = latency or Latency(self._metrics.sync_seconds, clock)
        self._writes: dict[Reference, _Writes] = {}
        self._doubts: dict[Reference, int] = {}

    async def work(self, reference: Reference) -> Outcome:
        """Bring one key a step closer to what its kind wants; never raises."""
        changes = self._latency.begin(reference)
        outcome: Outcome
        try:
            outcome = await self._pass(reference, changes)
        except Exception as error:
            # A bug in a kind concerns its key, not the tenant.
            resource, key = reference
            _log.exception("tenant %s: %s %s", self._memory.tenant.name, resource.kind, "/".join(key))
            outcome = Failed(f"{type(error).__name__}: {error}")
        self._latency.end(outcome, changes, reference)
        self._count(outcome, reference[0].plural)
        return outcome

    def _count(self, outcome: Outcome, kind: str) -> None:
        self._metrics.passes.add(kind)
        match outcome:
            case Stale():
                self._metrics.conflicts.add(kind)
            case Failed():
                self._metrics.errors.add(kind)
            case Refused():
                self._metrics.refusals.add(kind)

    async def _pass(self, reference: Reference, changes: Changes) -> Outcome:
        resource, key = reference
        memory = self._memory
        kind = memory.kinds[resource]
        virtual = memory.virtual(resource, key) if kind.watch_virtual else None
        host = memory.host(resource, key) if kind.watch_host else None
        later: Later | None = None
        wrote = False
        for action in kind.reconcile(key, virtual, host, memory):
            outcome = await self._executor.execute(action, reference)
            wrote = wrote or not isinstance(action, LaterAction)
            if isinstance(outcome, Later):
                later = outcome if later is None or outcome.seconds < later.seconds else later
            elif isinstance(outcome, Rejected):
                if virtual is not None and not self._is_there(reference, virtual):
                    return Stale(outcome.message)
                return await self._after_rejection(reference, outcome)
            elif not isinstance(outcome, Done):
                return outcome
            else:
                self._latency.did(action, changes, reference)
        self._doubts.pop(reference, None)
        if wrote:
            return self._after_writing(reference) or later or DONE
        if virtual is None and host is None:
            self._writes.pop(reference, None)
        return later or DONE

    def _is_there(self, reference: Reference, virtual: Object) -> bool:
        """Whether an object is still there; a namesake has nothing to do with what was said of it."""
        now = self._memory.virtual(*reference)
        return now is not None and uid_of(now) == uid_of(virtual)

    async def _after_rejection(self, reference: Reference, rejected: Rejected) -> Outcome:
        """Ask again before the user is told; afterwards, again only for what may pass without a change."""
        doubts = self._doubts.get(reference, 0)
        if doubts < self._timing.doubts:
            self._doubts[reference] = doubts + 1
            return Failed(rejected.message)
        resource, key = reference
        _log.warning("tenant %s: %s %s: %s", self._memory.tenant.name, resource.kind, "/".join(key), rejected.message)
        await self._executor.tell(reference, _REJECTED, rejected.message)
        return Failed(rejected.message) if rejected.may_pass else Refused(_REJECTED, rejected.message)

    def _after_writing(self, reference: Reference) -> Outcome | None:
        """Notice when a key never comes to rest: somebody undoes what we do, and is undone by us."""
        now = self._clock()
        writes = self._writes.setdefault(reference, _Writes(now, 0))
        if now - writes.since > self._timing.fight_window:
            writes.since, writes.passes = now, 0
        writes.passes += 1
        if writes.passes < self._timing.fight_passes:
            return None
        del self._writes[reference]
        resource, key = reference
        why = (
            f"{resource.kind} {'/'.join(key)} was written {writes.passes} times within "
            f"{self._timing.fight_window:g} s: somebody else keeps changing it back"
        )
        _log.warning("tenant %s: %s", self._memory.tenant.name, why)
        return Failed(why, self._timing.fight_pause)

"""A keyed work queue: each key at most once in it, worked on by one at a time, many keys at once.

Level-based: it holds keys, not events. However often a key is added while it waits, it is worked on once; added while
it is worked on, once more afterwards. The one rule: a queue with nothing to do has no task and no timer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Generic, TypeVar

from vcluster_syncer.engine.line import Line, nobody
from vcluster_syncer.engine.outcomes import Done, Failed, Later, Outcome, Refused, Stale
from vcluster_syncer.engine.timing import Timing

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Delayed:
    timer: asyncio.TimerHandle
    due: float
    held: bool
    """Additions do not bring it forward."""


class Queue(Generic[K]):
    """Calls `work(key)` for keys that were added, in tasks made by `spawn`, at most `timing.workers` at a time.

    Keys that `can_wait` stand back behind the others. Where some `goes_first`, the others leave room for them: at most
    `timing.beginning` of them are worked on at a time. It does nothing until `start`, so that nobody acts on a memory
    that is only half read.
    """

    def __init__(
        self,
        work: Callable[[K], Awaitable[Outcome]],
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        timing: Timing,
        jitter: random.Random,
        can_wait: Callable[[K], bool] = nobody,
        goes_first: Callable[[K], bool] | None = None,
    ) -> None:
        self._work = work
        self._spawn = spawn
        self._timing = timing
        self._jitter = jitter
        self._started = False
        self._workers = 0
        self._goes_first = goes_first or nobody
        self._ready = Line(can_wait, self._goes_first)
        self._bound = timing.workers if goes_first is None else timing.beginning
        self._others = 0
        self._active: set[K] = set()
        self._again: set[K] = set()
        self._delayed: dict[K, _Delayed] = {}
        self._failures: dict[K, int] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self.errors: dict[K, str] = {}
        """What last went wrong with keys that are not in order now."""

    def __len__(self) -> int:
        """How many keys wait to be worked on now."""
        return len(self._ready)

    @property
    def depths(self) -> dict[K, str]:
        """Every key in the queue, and whether it is ready, active or delayed."""
        depths = dict.fromkeys(self._delayed, "delayed")
        depths.update(dict.fromkeys(self._ready, "ready"))
        depths.update(dict.fromkeys(self._active, "active"))
        return depths

    def start(self) -> None:
        """Begin to work."""
        self._started = True
        for _ in range(min(len(self._ready), self._timing.workers)):
            self._add_worker()

    def add(self, key: K) -> None:
        """Have `key` worked on as soon as possible; a key that is held by a failure waits for its time."""
        if key in self._active:
            self._again.add(key)
            return
        delayed = self._delayed.get(key)
        if delayed is not None:
            if delayed.held:
                return
            delayed.timer.cancel()
            del self._delayed[key]
        self._make_ready(key)

    def recall(self) -> None:
        """Have every key that waits worked on now, and forget how often it failed: the world has been put back."""
        for key, delayed in list(self._delayed.items()):
            delayed.timer.cancel()
            del self._delayed[key]
            self._forget(key)
            self._make_ready(key)

    def close(self) -> None:
        """Forget everything, timers included. Tasks are their owner's."""
        self._started = False
        for delayed in self._delayed.values():
            delayed.timer.cancel()
        self._delayed.clear()
        self._ready.clear()
        for waiter in self._waiters:
            waiter.cancel()

    async def settled(self, matters: Callable[[K], bool] = lambda _: True) -> None:
        """Wait until no key that `matters` is ready, active, or between attempts after a failure."""
        while any(matters(key) for key in chain(self._ready, self._active, self._failures)):
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    @property
    def _has_work(self) -> bool:
        return self._ready.has_first or (bool(self._ready) and self._others < self._bound)

    def _make_ready(self, key: K) -> None:
        self._ready.add(key)
        if self._started and self._workers < self._timing.workers and self._has_work:
            self._add_worker()

    def _add_worker(self) -> None:
        worker = self._run()
        try:
            self._spawn(worker)
        except RuntimeError:
            # The task group is on its way out; so are we.
            worker.close()
            self.close()
        else:
            self._workers += 1

    async def _run(self) -> None:
        """Work until nothing is ready; then end, so that an idle tenant has no worker."""
        try:
            while self._started and self._has_work:
                key = self._ready.take(first_only=self._others >= self._bound)
                is_other = not self._goes_first(key)
                self._active.add(key)
                self._others += is_other
                try:
                    outcome = await self._work(key)
                finally:
                    self._active.discard(key)
                    self._others -= is_other
                self._finish(key, outcome)
                self._tell()
        finally:
            self._workers -= 1

    def _tell(self) -> None:
        """Have who waits look again."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _finish(self, key: K, outcome: Outcome) -> None:
        again = key in self._again
        self._again.discard(key)
        match outcome:
            case Failed(why, retry_after):
                failures = self._count(key)
                self.errors[key] = why
                seconds = self._timing.failed.after(failures, jitter=self._jitter)
                self._delay(key, seconds if retry_after is None else retry_after, held=True)
                return
            case Stale():
                failures = self._count(key)
                if not again:
                    self._delay(key, self._timing.stale.after(failures, jitter=self._jitter), held=False)
            case Later(seconds, _):
                self._forget(key)
                if not again:
                    self._delay(key, seconds, held=False)
            case Refused(reason, message):
                self._forget(key)
                self.errors[key] = f"{reason}: {message}"
            case Done():
                self._forget(key)
        if again:
            self._make_ready(key)

    def _count(self, key: K) -> int:
        self._failures[key] = self._failures.get(key, 0) + 1
        return self._failures[key]

    def _forget(self, key: K) -> None:
        self._failures.pop(key, None)
        self.errors.pop(key, None)

    def _delay(self, key: K, seconds: float, *, held: bool) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        self._delayed[key] = _Delayed(loop.call_at(due, self._wake, key), due, held)

    def _wake(self, key: K) -> None:
        del self._delayed[key]
        self._make_ready(key)

"""Performing a scenario against a real cluster.

The one rule: whatever the API server answers is fine. Only the count of answers is kept: what is wrong with a cluster
afterwards is `comparison`'s to find.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pytest_vcluster.cluster.api import Api
from pytest_vcluster.cluster.definitions import make_usable
from pytest_vcluster.cluster.discovery import Discovery
from pytest_vcluster.cluster.rest import Rest
from pytest_vcluster.controlplane.http import Unreachable
from pytest_vcluster.errors import ApiError, Timeout, VClusterError
from soak.access import Access, ServiceRange
from soak.model import NUMBER, PAUSE, SERVICE_ADDRESS, USE, WATCH, Scenario, Step

Answers = Counter[tuple[str, str]]
"""Move and answer -> how often."""

_PLACE = re.compile(SERVICE_ADDRESS.replace("%d", r"(\d+)"))
_USE_SECONDS = 4.0
_WATCH_SECONDS = 60.0
_MOST_WATCHES = 4
_AT_ONCE = 4
_MOST_REPETITIONS = 100_000
_JOIN_SECONDS = 20.0


class Executor:
    """One lease's threads."""

    def __init__(self, access: Access, service_range: ServiceRange) -> None:
        self.answers: Answers = Counter()
        self._access = access
        self._range = service_range
        self._cut = threading.Event()
        """From now on it is no surprise to be cut off."""
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._watches = 0
        self._lock = threading.Lock()

    def perform(self, scenario: Scenario) -> None:
        """Do all of it, or as much as there is time for; what hammers or watches goes on."""
        lanes = [self._start(self._lane, lane) for lane in scenario.lanes]
        for steps in scenario.hammers:
            self._start(self._hammer, steps)
        if scenario.cut_after is not None:
            self._over.wait(scenario.cut_after)
        else:
            for lane in lanes:
                lane.join()
        self._cut.set()

    def end(self) -> None:
        """Wait until every thread has noticed that it is over; call it after the lease was released."""
        self._over.set()
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._access.close()

    def _start(self, work: Callable[[Rest, Sequence[Step]], None], steps: Sequence[Step]) -> threading.Thread:
        rest = self._access.open()
        thread = threading.Thread(target=self._until_cut_off, args=(work, rest, steps), daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _until_cut_off(self, work: Callable[[Rest, Sequence[Step]], None], rest: Rest, steps: Sequence[Step]) -> None:
        with contextlib.suppress(Unreachable):
            work(rest, steps)

    def _lane(self, rest: Rest, steps: Sequence[Step]) -> None:
        for step in steps:
            if self._over.is_set():
                return
            if step.times > 1:
                self._many(step)
            else:
                self._step(rest, step, 0)

    def _hammer(self, rest: Rest, steps: Sequence[Step]) -> None:
        for number in range(_MOST_REPETITIONS):
            for step in steps:
                if self._over.is_set():
                    return
                self._step(rest, step, number)

    def _many(self, step: Step) -> None:
        """Repeat a step by several threads, and wait for them."""
        numbers = iter(range(step.times))

        def work(rest: Rest, steps: Sequence[Step]) -> None:
            while not self._over.is_set():
                with self._lock:
                    number = next(numbers, None)
                if number is None:
                    return
                self._step(rest, steps[0], number)

        for thread in [self._start(work, (step,)) for _ in range(_AT_ONCE)]:
            thread.join()

    def _step(self, rest: Rest, step: Step, number: int) -> None:
        """One step; raises Unreachable when the lease is over, and nothing else."""
        try:
            self._do(rest, step, number)
        except ApiError as error:
            self._count(step, f"{error.status}")
        except Timeout:
            self._count(step, "no answer in time")
        except VClusterError as error:
            self._count(step, type(error).__name__)
        except Unreachable:
            self._count(step, "cut off" if self._cut.is_set() else "unreachable")
            raise
        else:
            self._count(step, "done")

    def _do(self, rest: Rest, step: Step, number: int) -> None:
        if step.method == PAUSE:
            self._over.wait(step.seconds)
        elif step.method == USE:
            api = Api(rest, Discovery(rest), check=_never)
            make_usable(api, [step.path], deadline=time.monotonic() + _USE_SECONDS)
        elif step.method == WATCH:
            with self._lock:
                self._watches += 1
                allowed = self._watches <= _MOST_WATCHES
            if allowed:
                self._start(_watch, (step,))
        else:
            rest.call(
                step.method,
                self._filled(step.path, number),
                query=step.query,
                body=None if step.body is None else json.loads(self._filled(json.dumps(step.body), number)),
                content_type=step.content_type,
            )

    def _filled(self, text: str, number: int) -> str:
        text = text.replace(NUMBER, str(number))
        return _PLACE.sub(lambda match: self._range.address(int(match[1])), text)

    def _count(self, step: Step, answer: str) -> None:
        with self._lock:
            self.answers[step.move, answer] += 1


def _watch(rest: Rest, steps: Sequence[Step]) -> None:
    """Take what comes until it breaks."""
    with contextlib.suppress(VClusterError):
        events: Any
        for events in rest.watch(steps[0].path, query={}, timeout=_WATCH_SECONDS):
            del events


def _never() -> None:
    return

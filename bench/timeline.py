"""What follows from the times at which tests began and ended, in one process or in several.

The one rule: pure. All times are of one clock (CLOCK_MONOTONIC is one for all processes of a machine).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One test without its set-up and teardown; `worker` is the process that ran it."""

    worker: int
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


def gaps(bodies: Sequence[Body]) -> list[float]:
    """All that lies between two tests of the same worker: teardown, set-up, and pytest itself."""
    found = []
    for worker in dict.fromkeys(body.worker for body in bodies):
        own = sorted((body for body in bodies if body.worker == worker), key=lambda body: body.began)
        found += [after.began - before.ended for before, after in pairwise(own)]
    return found


def from_first_body(bodies: Sequence[Body], over: Sequence[float]) -> float:
    """From the moment when the first test had what it asked for until the last one was over."""
    return max(over) - min(body.began for body in bodies)


def second_half(over: Sequence[float]) -> float:
    """Time per test while the second half of them was run, in however many processes."""
    times = sorted(over)
    middle = len(times) // 2
    return (times[-1] - times[middle - 1]) / (len(times) - middle)

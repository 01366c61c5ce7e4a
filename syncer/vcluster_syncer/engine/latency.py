"""How long changes take to reach the other side, by kind and direction.

The one rule: measured from the moment when a change was seen until the server of the other side has confirmed what
followed from it. A change from which nothing follows is not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vcluster_syncer.engine.metrics import Histogram
from vcluster_syncer.engine.outcomes import Done, Later, Outcome, Refused
from vcluster_syncer.model import (
    Action,
    Bind,
    CreateHost,
    CreateVirtual,
    DeleteHost,
    DeleteVirtual,
    PatchHost,
    PatchVirtual,
    Reference,
    UpdateVirtualStatus,
)

TO_HOST = "to_host"
TO_VIRTUAL = "to_virtual"

# What is looked at again within this time is still being carried; after more it waits for something else.
_SOON_SECONDS = 1.0


@dataclass(slots=True)
class Changes:
    """When changes of one key were first seen that no pass has dealt with yet, by what should follow from them."""

    seen: dict[str, float]
    has_bound: bool = False


class Latency:
    """The clock of one tenant's keys; durations go to `histogram`."""

    def __init__(self, histogram: Histogram, clock: Callable[[], float]) -> None:
        self._histogram = histogram
        self._clock = clock
        self._open: dict[Reference, Changes] = {}

    @property
    def waiting(self) -> int:
        """How many keys have changes that no pass has looked at."""
        return len(self._open)

    def changed(self, direction: str, reference: Reference) -> None:
        """Note that an object changed, which may have to go in `direction`."""
        self._open.setdefault(reference, Changes({})).seen.setdefault(direction, self._clock())

    def begin(self, reference: Reference) -> Changes:
        """Take what a pass that begins is to deal with."""
        return self._open.pop(reference, None) or Changes({})

    def did(self, action: Action, changes: Changes, reference: Reference) -> None:
        """Note that an action of the pass has succeeded."""
        match action:
            case CreateHost() | PatchHost() | DeleteHost():
                direction = TO_HOST
            case CreateVirtual() | PatchVirtual() | UpdateVirtualStatus() | DeleteVirtual():
                direction = TO_VIRTUAL
            case Bind():
                # The status follows at the next look, once the pod is seen to be bound; that is what users wait for.
                changes.has_bound = True
                return
            case _:
                return
        seen = changes.seen.pop(direction, None)
        if seen is not None:
            self._histogram.observe(self._clock() - seen, reference[0].plural, direction)

    def end(self, outcome: Outcome, changes: Changes, reference: Reference) -> None:
        """Keep what the pass did not get done for the next one, and drop what nothing follows from."""
        match outcome:
            case Done() | Refused():
                is_over = True
            case Later(seconds, _):
                is_over = seconds > _SOON_SECONDS
            case _:
                is_over = False
        if changes.seen and (changes.has_bound or not is_over):
            younger = self._open.get(reference)
            seen = changes.seen if younger is None else {**younger.seen, **changes.seen}
            self._open[reference] = Changes(seen)

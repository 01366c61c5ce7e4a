"""What the pool consists of, as values: seats, tickets, limits, and which change of state is a legal one.

A seat is the room that one virtual cluster takes, from the moment somebody starts to prepare it until its last process
is gone. A ticket is a test that waits for one. The one rule: no I/O, no clock, no cluster; numbers stand for them.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from pytest_vcluster.settings import NodeShape


class SeatState(enum.StrEnum):
    """Where a cluster is in its life."""

    PREPARING = "preparing"
    READY = "ready"
    LEASED = "leased"
    KEPT = "kept"
    """Outlives its lease because the user wants to look at it; nobody will get it again."""
    RECYCLING = "recycling"
    RETIRED = "retired"
    """Being thrown away; takes its room until it is gone."""


class HostState(enum.StrEnum):
    """Where the host is in its life."""

    ABSENT = "absent"
    STARTING = "starting"
    RUNNING = "running"


_NEXT: Mapping[SeatState, frozenset[SeatState]] = {
    SeatState.PREPARING: frozenset({SeatState.READY, SeatState.RETIRED}),
    SeatState.READY: frozenset({SeatState.LEASED, SeatState.RETIRED}),
    SeatState.LEASED: frozenset({SeatState.RECYCLING, SeatState.KEPT, SeatState.RETIRED}),
    SeatState.KEPT: frozenset({SeatState.RETIRED}),
    SeatState.RECYCLING: frozenset({SeatState.READY, SeatState.RETIRED}),
    SeatState.RETIRED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What makes one cluster as good as another: its version, its nodes (as canonical text) and its baseline."""

    version: str
    nodes: str
    baseline: str = ""
    """A digest of what was laid into the cluster before any test had it; empty for nothing."""

    @classmethod
    def of(cls, version: str, nodes: Iterable[NodeShape], baseline: str = "") -> Key:
        """The key of clusters with these nodes."""
        text = json.dumps([node.to_json() for node in nodes], sort_keys=True)
        return cls(version=version, nodes=text, baseline=baseline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One cluster's room."""

    number: int
    key: Key
    state: SeatState = SeatState.PREPARING
    used: bool = False
    """Whether somebody had the cluster before."""
    laid: bool = False
    """Whether it has its baseline. Without one, the test that gets it first lays it."""
    worker: int = 0
    """Process id of the lessee."""
    holder: str = ""
    """The lessee as people call it."""
    former: str = ""
    """The lessee before."""

    def to(self, state: SeatState) -> Seat:
        """The seat in another state; ValueError if that can't follow this one."""
        if state not in _NEXT[self.state]:
            message = f"a {self.state} seat can't become {state}"
            raise ValueError(message)
        return replace(self, state=state, used=self.used or state is SeatState.LEASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A test that waits for a cluster."""

    number: int
    key: Key
    worker: int
    holder: str
    fresh: bool = False
    """Whether only a cluster that nobody had before will do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the machine can take."""

    size: int
    """How many clusters exist at most."""
    spares: int
    """How many of them are prepared before anybody asks."""
    starts: int
    """How many start at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that `planning.plan` decides by."""

    limits: Limits
    seats: tuple[Seat, ...] = ()
    waiting: tuple[Ticket, ...] = ()
    expected: Mapping[Key, int] = field(default_factory=dict)
    """How many leases nobody has asked for yet will be asked for, in the order in which spares are wanted."""
    host: HostState = HostState.ABSENT
    host_wanted: bool = False
    """Whether somebody waits for the host itself."""
    settled: bool = False
    """Whether a first cluster got ready."""
    untried: frozenset[Key] = frozenset()
    """Whose baseline nobody laid so far: one test does, the others wait for what comes of it."""

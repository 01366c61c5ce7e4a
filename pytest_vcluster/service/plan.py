"""What the pool does next, as a pure function of what it is like now.

The one rule: nothing is prepared in vain. Tests that wait come first, in the order they came; then the host; then
spares, as many as fit and as the run will still ask for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pytest_vcluster.settings import NodeShape


@dataclass(frozen=True, slots=True)
class Key:
    """What makes two clusters interchangeable."""

    version: str
    nodes: tuple[NodeShape, ...]

    def __hash__(self) -> int:
        """By version and node names; shapes hold mappings, which have no hash."""
        return hash((self.version, tuple(node.name for node in self.nodes)))


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The pool as the plan sees it."""

    waiting: Sequence[Key]
    """What tests wait for, the longest wait first, without those that a ready cluster already serves."""
    ready: Mapping[Key, int]
    preparing: Mapping[Key, int]
    in_use: int
    """Leased, kept for a lease's end, or being thrown away: they take room."""
    capacity: int
    starting: int
    """Clusters and host that are being started right now."""
    starts_at_once: int
    host_started: bool
    any_started: bool
    """Whether a cluster was ever started; the host waits for the first."""
    spares: Sequence[Key]
    """What may be asked for later, in the order in which it is likely to be."""
    still_expected: Mapping[str, int]
    """Version -> leases that the run is still to ask for, waiting ones included."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Start a cluster of this key."""

    key: Key


@dataclass(frozen=True, slots=True)
class StartHost:
    """Start the host."""


@dataclass(frozen=True, slots=True)
class RetireReady:
    """Throw away a ready cluster of this key: it stands in the way of one that a test waits for."""

    key: Key


Step: TypeAlias = Prepare | StartHost | RetireReady


def next_step(state: State) -> Step | None:
    """Decide the next step, or None if there is nothing to do; ask again after each step."""
    if state.starting >= state.starts_at_once:
        return None
    if state.any_started and not state.host_started:
        return StartHost()
    room = state.capacity - state.in_use - sum(state.ready.values()) - sum(state.preparing.values())
    unserved = _unserved(state)
    if unserved is not None:
        if room > 0:
            return Prepare(unserved)
        idle = _idle(state)
        return RetireReady(idle) if idle is not None else None
    if room <= 0:
        return None
    return _spare(state)


def _unserved(state: State) -> Key | None:
    coming = dict(state.preparing)
    for key in state.waiting:
        if coming.get(key, 0) > 0:
            coming[key] -= 1
        else:
            return key
    return None


def _idle(state: State) -> Key | None:
    wanted = set(state.waiting)
    return next((key for key, count in state.ready.items() if count > 0 and key not in wanted), None)


def _spare(state: State) -> Step | None:
    best: tuple[int, Key] | None = None
    for key in state.spares:
        there = state.ready.get(key, 0) + state.preparing.get(key, 0)
        if there < state.still_expected.get(key.version, 0) and (best is None or there < best[0]):
            best = (there, key)
    return Prepare(best[1]) if best is not None else None

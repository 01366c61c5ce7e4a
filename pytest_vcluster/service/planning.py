"""What to start next, given who waits, what there is, and what the machine can take.

The one rule: pure. The order is: the first cluster (a test waits for it), the host (that test's pods wait for it), what
other tests wait for, first come first served, and spares for tests that are still to come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_vcluster.service.seats import HostState, Key, Seat, SeatState, Ticket, View

_COMING = (SeatState.PREPARING, SeatState.RECYCLING)
_AVAILABLE = (SeatState.READY, *_COMING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Start a cluster; `beyond` if the limit is exceeded because nothing would move otherwise."""

    key: Key
    beyond: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartHost:
    """Start the host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Throw a spare away, because its room is needed."""

    seat: int


Action = Prepare | StartHost | Retire


def plan(view: View) -> list[Action]:
    """Decide what to start now. After it was done, planning again yields nothing until something else happens."""
    unmet, spare = cover(view)
    starting = sum(seat.state is SeatState.PREPARING for seat in view.seats) + (view.host is HostState.STARTING)
    slots = view.limits.starts - starting
    room = view.limits.size - sum(seat.state is not SeatState.KEPT for seat in view.seats)
    actions: list[Action] = []

    def prepare(key: Key) -> None:
        nonlocal slots, room
        actions.append(Prepare(key=key))
        slots -= 1
        room -= 1

    if unmet and not view.settled and not starting and room > 0:
        prepare(unmet.pop(0).key)
    begun = view.settled or any(seat.state is SeatState.PREPARING for seat in view.seats) or bool(actions)
    if view.host is HostState.ABSENT and (begun or view.host_wanted) and slots > 0:
        actions.append(StartHost())
        slots -= 1
    while unmet and slots > 0 and room > 0:
        prepare(unmet.pop(0).key)
    if unmet and room <= 0:
        actions += _make_room(view, unmet, spare) or ([] if actions else _exceed(view, unmet))
    elif not unmet:
        wanted = _wanted_spares(view, spare)
        while wanted and slots > 0 and room > 0:
            prepare(wanted.pop(0))
    return actions


def cover(view: View) -> tuple[list[Ticket], list[Seat]]:
    """Split what there is from what is missing: tickets without a seat in sight, and seats without a ticket."""
    spare = sorted(
        (seat for seat in view.seats if seat.state in _AVAILABLE),
        key=lambda seat: (seat.state is not SeatState.READY, not seat.used, seat.number),
    )
    unmet = []
    tried = {seat.key for seat in view.seats if seat.state not in (SeatState.RETIRED, SeatState.KEPT)}
    for ticket in view.waiting:
        seat = next((seat for seat in spare if serves(seat, ticket)), None)
        if seat is not None:
            spare.remove(seat)
        elif ticket.key not in view.untried or ticket.key not in tried:
            unmet.append(ticket)
            tried.add(ticket.key)
    return unmet, spare


def match(
    waiting: Sequence[Ticket], seats: Sequence[Seat], *, untried: frozenset[Key] = frozenset()
) -> list[tuple[Ticket, Seat]]:
    """Pair waiting tickets with ready seats, first come first served, used seats first.

    Of the `untried` keys one ticket at a time gets a seat, to lay its baseline.
    """
    ready = sorted(
        (seat for seat in seats if seat.state is SeatState.READY), key=lambda seat: (not seat.used, seat.number)
    )
    pairs = []
    laying = {seat.key for seat in seats if seat.state is SeatState.LEASED} & untried
    for ticket in waiting:
        if ticket.key in laying:
            continue
        seat = next((seat for seat in ready if serves(seat, ticket)), None)
        if seat is not None:
            ready.remove(seat)
            pairs.append((ticket, seat))
            if ticket.key in untried:
                laying.add(ticket.key)
    return pairs


def serves(seat: Seat, ticket: Ticket) -> bool:
    """Whether the cluster of `seat` is what `ticket` asks for."""
    return seat.key == ticket.key and not (ticket.fresh and seat.used)


def _make_room(view: View, unmet: Sequence[Ticket], spare: Sequence[Seat]) -> list[Action]:
    leaving = sum(seat.state is SeatState.RETIRED for seat in view.seats)
    evicted = sorted(
        (seat for seat in spare if seat.state is SeatState.READY),
        key=lambda seat: (view.expected.get(seat.key, 0), seat.number),
    )[: max(0, len(unmet) - leaving)]
    return [Retire(seat=seat.number) for seat in evicted]


def _exceed(view: View, unmet: Sequence[Ticket]) -> list[Action]:
    held = [seat for seat in view.seats if seat.state is not SeatState.KEPT]
    waiting_workers = {ticket.worker for ticket in view.waiting}
    # Every cluster is held by a worker that waits for one more (a session's cluster and a test's, say): no test will
    # ever end to make room. One more than the limit is better than a run that stands still.
    if held and all(seat.state is SeatState.LEASED and seat.worker in waiting_workers for seat in held):
        return [Prepare(key=unmet[0].key, beyond=True)]
    return []


def _wanted_spares(view: View, spare: Sequence[Seat]) -> list[Key]:
    have = Counter(seat.key for seat in spare)
    wanted: list[Key] = []
    while len(spare) + len(wanted) < view.limits.spares:
        short = [key for key, count in view.expected.items() if have[key] < count and key not in view.untried]
        if not short:
            break
        key = min(short, key=lambda key: (have[key], -view.expected[key]))
        have[key] += 1
        wanted.append(key)
    return wanted

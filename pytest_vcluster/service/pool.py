"""The pool: who has which seat, who waits, and who is still to come.

The one rule: bookkeeping only. Every change is one method call that leaves the books right, and none of them waits;
whoever calls then asks `granted` and `plan` what follows from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from pytest_vcluster.service.planning import Action, match, plan
from pytest_vcluster.service.seats import HostState, Key, Limits, Seat, SeatState, Ticket, View


class Pool:
    """The books. `default_nodes` are those that spares are made with."""

    def __init__(self, limits: Limits, *, default_nodes: str) -> None:
        self.limits = limits
        self.host = HostState.ABSENT
        self.host_wanted = False
        self.closed = False
        self._default_nodes = default_nodes
        self._settled = False
        self._seats: dict[int, Seat] = {}
        self._waiting: dict[int, Ticket] = {}
        self._expected: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self._failing: set[Key] = set()
        self._laid: set[Key] = set()
        self._baselines: dict[str, str] = {}
        self._numbers = itertools.count(1)

    @property
    def seats(self) -> tuple[Seat, ...]:
        """All seats, oldest first."""
        return tuple(self._seats.values())

    @property
    def waiting(self) -> tuple[Ticket, ...]:
        """All tickets, oldest first."""
        return tuple(self._waiting.values())

    def seat(self, number: int) -> Seat:
        """The seat of that number."""
        return self._seats[number]

    def ask(self, key: Key, *, worker: int, holder: str, fresh: bool, expected: Mapping[str, int]) -> Ticket:
        """Queue for a cluster. `expected` is what the asker's whole collection will ask for, by version."""
        ticket = Ticket(number=next(self._numbers), key=key, worker=worker, holder=holder, fresh=fresh)
        self._waiting[ticket.number] = ticket
        for version, count in expected.items():
            # Every xdist worker collects the whole suite, so their numbers are the same and don't add up.
            self._expected[version] = max(count, self._expected.get(version, 0))
        self._asked[key.version] = self._asked.get(key.version, 0) + 1
        if key.nodes == self._default_nodes:
            self._baselines[key.version] = key.baseline
        self._failing.discard(key)
        return ticket

    def withdraw(self, ticket: int) -> None:
        """Forget a ticket that waits; harmless if it doesn't any more."""
        self._waiting.pop(ticket, None)

    def fail(self, key: Key | None = None) -> list[Ticket]:
        """Take out all tickets for `key` (None: all there are); no spare of it is made until somebody asks anew."""
        failed = [ticket for ticket in self._waiting.values() if key is None or ticket.key == key]
        for ticket in failed:
            del self._waiting[ticket.number]
        keys = set(self._upcoming()) | {ticket.key for ticket in failed} if key is None else {key}
        self._failing |= keys
        return failed

    def laid(self, number: int) -> None:
        """Note that a seat's cluster has its baseline, and that this baseline can be had."""
        seat = self._seats[number]
        self._seats[number] = replace(seat, laid=True)
        self._laid.add(seat.key)

    def prepare(self, key: Key) -> Seat:
        """Take a seat for a cluster that is about to be started."""
        seat = Seat(number=next(self._numbers), key=key)
        self._seats[seat.number] = seat
        return seat

    def move(self, number: int, state: SeatState) -> Seat:
        """Change the state of a seat; ValueError if that is not a legal change."""
        seat = self._seats[number].to(state)
        if state is not SeatState.LEASED:
            holder = seat.holder if state is SeatState.KEPT else ""
            seat = replace(seat, worker=0, holder=holder, former=seat.holder or seat.former)
        self._seats[number] = seat
        self._settled = self._settled or state is SeatState.READY
        return seat

    def gone(self, number: int) -> None:
        """Free the room of a retired seat, of whose cluster nothing is left."""
        if self._seats[number].state is not SeatState.RETIRED:
            self.move(number, SeatState.RETIRED)
        del self._seats[number]

    def granted(self) -> list[tuple[Ticket, Seat]]:
        """Lease ready seats to those who wait, and tell who got which."""
        pairs = []
        for ticket, seat in match(self.waiting, self.seats, untried=self._untried()):
            del self._waiting[ticket.number]
            leased = replace(self.move(seat.number, SeatState.LEASED), worker=ticket.worker, holder=ticket.holder)
            self._seats[seat.number] = leased
            pairs.append((ticket, leased))
        return pairs

    def plan(self) -> list[Action]:
        """What to start now."""
        return [] if self.closed else plan(self.view())

    def view(self) -> View:
        """The books as a value."""
        return View(
            limits=self.limits,
            seats=self.seats,
            waiting=self.waiting,
            expected={key: count for key, count in self._upcoming().items() if key not in self._failing},
            host=self.host,
            host_wanted=self.host_wanted,
            settled=self._settled,
            untried=self._untried(),
        )

    def start_over(self) -> None:
        """Note that the host and everything with it is gone; what is made next is a first cluster again."""
        self.host = HostState.ABSENT
        self._settled = False

    def _untried(self) -> frozenset[Key]:
        keys = {ticket.key for ticket in self._waiting.values()} | {seat.key for seat in self._seats.values()}
        return frozenset(key for key in keys | set(self._upcoming()) if key.baseline and key not in self._laid)

    def _upcoming(self) -> dict[Key, int]:
        # What tests to come will want in their clusters is not known before they ask: the same as the last, probably.
        return {
            Key(version=version, nodes=self._default_nodes, baseline=self._baselines.get(version, "")): self._left(
                version
            )
            for version in {**self._expected, **self._asked}
        }

    def _left(self, version: str) -> int:
        left = self._expected.get(version, 0) - self._asked.get(version, 0)
        # Tests that ask by `getfixturevalue` are in nobody's collection; where there were two there may be another.
        return 1 if left < -1 else max(0, left)

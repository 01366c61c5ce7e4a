"""The pool's books and plans, without clusters: a machine that follows the plans is simulated, and its laws hold."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.service.planning import Prepare, Retire, StartHost, plan
from pytest_vcluster.service.pool import Pool
from pytest_vcluster.service.seats import HostState, Key, Limits, Seat, SeatState, Ticket, View

A, B = Key(version="v1.36.4", nodes="n"), Key(version="v1.37.1", nodes="n")


def pool(size=4, spares=2, starts=1):
    return Pool(Limits(size=size, spares=spares, starts=starts), default_nodes="n")


def ask(books, key=A, *, expected=None, worker=1, fresh=False):
    return books.ask(key, worker=worker, holder=f"test of {worker}", fresh=fresh, expected=expected or {})


def do(books):
    """Do what the plan says, and return it."""
    actions = books.plan()
    for action in actions:
        if isinstance(action, Prepare):
            books.prepare(action.key)
        elif isinstance(action, StartHost):
            books.host = HostState.STARTING
        else:
            books.move(action.seat, SeatState.RETIRED)
    return actions


def of(books, state):
    return [seat.number for seat in books.seats if seat.state is state]


def test_nothing_is_planned_before_anybody_asks():
    assert pool().plan() == []


def test_one_at_a_time_the_order_is_first_cluster_host_waiting_tests_spares():
    books = pool(starts=1)
    for worker in (1, 2):
        ask(books, expected={A.version: 5}, worker=worker)
    assert do(books) == [Prepare(key=A)]
    assert do(books) == []
    books.move(of(books, SeatState.PREPARING)[0], SeatState.READY)
    books.granted()
    assert do(books) == [StartHost()]
    books.host = HostState.RUNNING
    assert do(books) == [Prepare(key=A)]
    books.move(of(books, SeatState.PREPARING)[0], SeatState.READY)
    assert len(books.granted()) == 1
    assert do(books) == [Prepare(key=A)]  # a spare


def test_with_more_cores_the_host_starts_beside_the_first_cluster():
    books = pool(starts=3)
    for worker in (1, 2):
        ask(books, expected={A.version: 2}, worker=worker)
    assert do(books) == [Prepare(key=A), StartHost(), Prepare(key=A)]


def test_the_host_alone_can_be_wanted():
    books = pool()
    books.host_wanted = True
    assert do(books) == [StartHost()]


@pytest.mark.parametrize(
    ("expected", "spares"), [({}, 1), ({A.version: 1}, 0), ({A.version: 2}, 0), ({A.version: 3}, 1)]
)
def test_when_two_asked_who_were_not_expected_so_is_another(expected, spares):
    books = pool(size=9, starts=9)
    for worker in (1, 2):
        ask(books, expected=expected, worker=worker)
    assert do(books).count(Prepare(key=A)) == 2 + spares


def test_spares_are_shared_among_versions():
    view = View(
        limits=Limits(size=9, spares=4, starts=9),
        expected={A: 10, B: 3},
        host=HostState.RUNNING,
        settled=True,
    )
    assert Counter(action.key for action in plan(view)) == {A: 2, B: 2}


def test_a_spare_of_the_wrong_kind_makes_room_for_a_test_that_waits():
    books = pool(size=1)
    books.host = HostState.RUNNING
    ask(books, A)
    do(books)
    (seat,) = of(books, SeatState.PREPARING)
    books.withdraw(1)
    books.move(seat, SeatState.READY)
    ask(books, B)
    assert do(books) == [Retire(seat=seat)]
    assert do(books) == []
    books.gone(seat)
    assert do(books) == [Prepare(key=B)]


def test_a_used_cluster_goes_first_but_never_to_who_wants_a_fresh_one():
    books = pool(size=2, starts=2)
    fresh, any_one = ask(books, fresh=True), ask(books)
    numbers = {}
    for used in (True, False):
        seat = books.prepare(A)
        numbers[used] = seat.number
        books.move(seat.number, SeatState.READY)
        if used:
            for state in (SeatState.LEASED, SeatState.RECYCLING, SeatState.READY):
                books.move(seat.number, state)
    granted = {ticket.number: seat.number for ticket, seat in books.granted()}
    assert granted == {fresh.number: numbers[False], any_one.number: numbers[True]}


def test_after_a_failure_no_spare_is_made_until_somebody_asks_again():
    books = pool(starts=2)
    books.host = HostState.RUNNING
    ticket = ask(books, expected={A.version: 5})
    do(books)
    assert books.fail(A) == [ticket]
    for number in of(books, SeatState.PREPARING):
        books.gone(number)
    assert do(books) == []
    ask(books, expected={A.version: 5})
    assert Prepare(key=A) in do(books)


def test_a_run_does_not_stand_still_when_every_worker_holds_one_and_waits_for_another():
    held = tuple(Seat(number=n, key=A, state=SeatState.LEASED, worker=n) for n in (1, 2))
    waiting = tuple(Ticket(number=n + 10, key=A, worker=n, holder="") for n in (1, 2))
    view = View(limits=Limits(size=2, spares=1, starts=1), host=HostState.RUNNING, settled=True, seats=held)
    assert plan(replace(view, waiting=waiting)) == [Prepare(key=A, beyond=True)]
    assert plan(replace(view, waiting=waiting[:1])) == []


@pytest.mark.parametrize("state", SeatState)
def test_a_seat_only_goes_where_it_may(state):
    seat = Seat(number=1, key=A, state=SeatState.RETIRED)
    with pytest.raises(ValueError, match="can't become"):
        seat.to(state)


class Simulation:
    """Tests that ask, run and end in any order, on a machine that does what is planned."""

    def __init__(self, limits, total):
        self.books = Pool(limits, default_nodes="n")
        self.limits, self.total = limits, total
        self.asked = self.prepared = self.evicted = 0
        self.order, self.served = [], []

    def settle(self):
        while True:
            pairs = self.books.granted()
            for ticket, _ in pairs:
                self.served.append(ticket.number)
            actions = do(self.books)
            self.prepared += sum(isinstance(action, Prepare) for action in actions)
            self.evicted += sum(isinstance(action, Retire) for action in actions)
            counted = [seat for seat in self.books.seats if seat.state is not SeatState.KEPT]
            assert len(counted) <= self.limits.size
            starting = of(self.books, SeatState.PREPARING)
            assert len(starting) + (self.books.host is HostState.STARTING) <= self.limits.starts
            if not pairs and not actions:
                return

    def step(self, choice):
        moves = []
        if self.asked < self.total:
            moves.append(self.ask)
        for seat in self.books.seats:
            if seat.state is SeatState.PREPARING:
                moves.append(lambda n=seat.number: self.books.move(n, SeatState.READY))
            elif seat.state is SeatState.LEASED:
                moves.append(lambda n=seat.number: self.books.move(n, SeatState.RECYCLING))
            elif seat.state is SeatState.RECYCLING:
                moves.append(lambda n=seat.number: self.books.move(n, SeatState.RETIRED))
            elif seat.state is SeatState.RETIRED:
                moves.append(lambda n=seat.number: self.books.gone(n))
        if self.books.host is HostState.STARTING:
            moves.append(lambda: setattr(self.books, "host", HostState.RUNNING))
        if not moves:
            return False
        moves[choice % len(moves)]()
        self.settle()
        return True

    def ask(self):
        self.asked += 1
        key = (A, B)[self.asked % 2]
        expected = {A.version: self.total // 2, B.version: self.total - self.total // 2}
        ticket = ask(self.books, key, expected=expected, worker=self.asked)
        self.order.append(ticket)


@given(
    size=st.integers(1, 5),
    spares=st.integers(1, 5),
    starts=st.integers(1, 4),
    total=st.integers(1, 12),
    choices=st.lists(st.integers(0, 20), max_size=60),
)
def test_whatever_happens_limits_hold_everybody_is_served_in_order_and_little_is_prepared_in_vain(
    size, spares, starts, total, choices
):
    machine = Simulation(Limits(size=size, spares=min(spares, size), starts=starts), total)
    for choice in choices:
        machine.step(choice)
    for _ in range(1000):  # from here on, in the simplest order
        if not machine.step(0):
            break
    else:
        raise AssertionError("it never comes to rest")
    assert sorted(machine.served) == [ticket.number for ticket in machine.order]
    for key in (A, B):
        mine = [ticket.number for ticket in machine.order if ticket.key == key]
        assert [number for number in machine.served if number in mine] == mine
    left = of(machine.books, SeatState.READY)
    assert left == [], "prepared, and nobody ever asked for it"
    assert machine.prepared == total + machine.evicted

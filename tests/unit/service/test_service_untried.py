"""Baselines in the pool's books and plans: of what nobody laid yet, one test at a time gets a cluster."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_service_pool import Simulation, ask, do, of, pool

from pytest_vcluster.service.planning import Prepare, StartHost, match, plan
from pytest_vcluster.service.seats import HostState, Key, Limits, Seat, SeatState, Ticket, View

PLAIN, LAID, OTHER = (Key(version="v1.36.4", nodes="n", baseline=baseline) for baseline in ("", "b", "c"))
ROOMY = View(limits=Limits(size=9, spares=2, starts=9), host=HostState.RUNNING, settled=True)


def tickets(*keys, **fields):
    return tuple(Ticket(number=number, key=key, worker=1, holder="", **fields) for number, key in enumerate(keys, 1))


def seats(*states, key=LAID, **fields):
    return tuple(Seat(number=number, key=key, state=state, **fields) for number, state in enumerate(states, 100))


S = SeatState


@pytest.mark.parametrize(
    ("waiting", "there", "untried", "prepared"),
    [
        ([LAID, LAID, LAID], [], {LAID}, [LAID]),
        ([LAID, LAID, LAID], [], set(), [LAID, LAID, LAID]),
        ([LAID, OTHER, LAID, OTHER], [], {LAID, OTHER}, [LAID, OTHER]),
        ([LAID, PLAIN, LAID, PLAIN], [], {LAID}, [LAID, PLAIN, PLAIN]),
        ([LAID, LAID], [S.PREPARING], {LAID}, []),
        ([LAID, LAID], [S.READY], {LAID}, []),
        ([LAID, LAID], [S.LEASED], {LAID}, []),
        ([LAID, LAID], [S.RECYCLING], {LAID}, []),
        ([LAID, LAID], [S.RETIRED], {LAID}, [LAID]),
        ([LAID, LAID], [S.KEPT], {LAID}, [LAID]),
        ([LAID, LAID], [S.LEASED], set(), [LAID, LAID]),
        ([LAID, LAID], [S.PREPARING], set(), [LAID]),
    ],
    ids=[
        "all at once",
        "tried",
        "two baselines",
        "without beside it",
        "on its way",
        "there",
        "being laid",
        "going back",
        "thrown away",
        "kept",
        "tried, one in use",
        "tried, one on its way",
    ],
)
def test_one_cluster_is_prepared_for_a_baseline_that_nobody_laid(waiting, there, untried, prepared):
    view = replace(ROOMY, waiting=tickets(*waiting), seats=seats(*there), untried=frozenset(untried))
    assert Counter(action.key for action in plan(view)) == Counter(prepared)


def test_no_spare_is_prepared_of_a_baseline_that_nobody_laid():
    view = replace(ROOMY, expected={LAID: 5, PLAIN: 1}, untried=frozenset({LAID}))
    assert plan(view) == [Prepare(key=PLAIN)]
    assert plan(replace(view, untried=frozenset())) == [Prepare(key=LAID), Prepare(key=PLAIN)]


@pytest.mark.parametrize(
    ("waiting", "there", "untried", "pairs"),
    [
        ([LAID, LAID], [S.READY, S.READY], {LAID}, [(1, 100)]),
        ([LAID, LAID], [S.READY, S.READY], set(), [(1, 100), (2, 101)]),
        ([LAID, LAID], [S.LEASED, S.READY], {LAID}, []),
        ([LAID, LAID], [S.LEASED, S.READY], set(), [(1, 101)]),
        ([LAID, LAID], [S.RETIRED, S.READY], {LAID}, [(1, 101)]),
        ([LAID, LAID], [S.RECYCLING, S.READY], {LAID}, [(1, 101)]),
    ],
    ids=["two ready", "two ready, tried", "being laid", "in use, tried", "given up", "going back"],
)
def test_one_ticket_at_a_time_gets_a_cluster_that_is_to_be_laid(waiting, there, untried, pairs):
    found = match(tickets(*waiting), seats(*there), untried=frozenset(untried))
    assert [(ticket.number, seat.number) for ticket, seat in found] == pairs


def test_who_lays_holds_up_nobody_who_wants_something_else():
    there = (*seats(S.LEASED), *seats(S.READY, key=PLAIN), *seats(S.READY, key=OTHER))
    there = tuple(replace(seat, number=number) for number, seat in enumerate(there, 100))
    found = match(tickets(LAID, PLAIN, OTHER, OTHER), there, untried=frozenset({LAID, OTHER}))
    assert [(ticket.number, seat.number) for ticket, seat in found] == [(2, 101), (3, 102)]


def ready(books, key=LAID):
    """A ready cluster, straight away."""
    seat = books.prepare(key)
    books.move(seat.number, SeatState.READY)
    return seat.number


def test_what_is_not_laid_is_known_from_who_asks_and_once_it_is_for_good():
    books = pool(size=4, starts=4)
    ask(books, PLAIN)
    assert books.view().untried == frozenset()
    first, second = ask(books, LAID, worker=2), ask(books, LAID, worker=3)
    assert books.view().untried == {LAID}
    seats_there = [ready(books), ready(books)]
    assert books.granted() == [(first, books.seat(seats_there[0]))]
    books.laid(seats_there[0])
    assert books.view().untried == frozenset()
    [(ticket, seat)] = books.granted()
    assert (ticket, seat.number, seat.laid) == (second, seats_there[1], False)


def test_a_cluster_that_was_laid_stays_so_when_it_is_used_again():
    books = pool()
    ask(books, LAID)
    number = ready(books)
    books.granted()
    books.laid(number)
    for state in (SeatState.RECYCLING, SeatState.READY):
        books.move(number, state)
    ask(books, LAID)
    [(_, seat)] = books.granted()
    assert seat.laid


def test_spares_are_made_with_what_the_last_test_wanted_once_it_is_laid():
    books = pool(size=4, spares=4, starts=4)
    books.host = HostState.RUNNING
    ask(books, LAID, expected={LAID.version: 3})
    assert do(books) == [Prepare(key=LAID)]
    [number] = of(books, SeatState.PREPARING)
    books.move(number, SeatState.READY)
    books.granted()
    assert do(books) == []
    books.laid(number)
    assert do(books) == [Prepare(key=LAID)] * 2


def test_the_room_for_spares_of_a_baseline_goes_to_who_waits():
    books = pool(size=1)
    books.host = HostState.RUNNING
    ask(books, LAID)
    number = ready(books)
    books.granted()
    books.laid(number)
    for state in (SeatState.RECYCLING, SeatState.READY):
        books.move(number, state)
    ask(books, OTHER)
    do(books)
    assert of(books, SeatState.RETIRED) == [number]
    books.gone(number)
    assert do(books) == [Prepare(key=OTHER)]


class Laying(Simulation):
    """Tests that want baselines: whoever gets a cluster without its own lays it, or is killed before."""

    KEYS = (PLAIN, LAID, OTHER)

    def ask(self):
        self.asked += 1
        key = self.KEYS[self.asked % 3]
        self.order.append(ask(self.books, key, expected={key.version: self.total}, worker=self.asked))

    def settle(self):
        super().settle()
        untried = self.books.view().untried
        laying = Counter(seat.key for seat in self.books.seats if seat.state is SeatState.LEASED)
        assert all(laying[key] <= 1 for key in untried), "one at a time, or all fail for the same reason"

    def step(self, choice):
        unlaid = [
            seat.number
            for seat in self.books.seats
            if seat.state is SeatState.LEASED and seat.key.baseline and not seat.laid
        ]
        if unlaid and choice % 3:
            self.books.laid(unlaid[0])
            self.settle()
            return True
        return super().step(choice)


@given(
    size=st.integers(1, 5),
    starts=st.integers(1, 4),
    total=st.integers(1, 12),
    choices=st.lists(st.integers(0, 20), max_size=60),
)
def test_whoever_is_killed_while_it_lays_everybody_is_served_in_order(size, starts, total, choices):
    machine = Laying(Limits(size=size, spares=min(2, size), starts=starts), total)
    for choice in choices:
        machine.step(choice)
    for _ in range(1000):  # from here on, in the simplest order
        if not machine.step(0):
            break
    else:
        raise AssertionError("it never comes to rest")
    assert sorted(machine.served) == [ticket.number for ticket in machine.order]
    for key in Laying.KEYS:
        mine = [ticket.number for ticket in machine.order if ticket.key == key]
        assert [number for number in machine.served if number in mine] == mine


def test_the_host_starts_while_somebody_lays():
    books = pool(starts=1)
    ask(books, LAID)
    do(books)
    [number] = of(books, SeatState.PREPARING)
    books.move(number, SeatState.READY)
    books.granted()
    assert do(books) == [StartHost()]

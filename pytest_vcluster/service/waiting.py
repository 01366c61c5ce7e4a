"""Who waits for a cluster or for the host, and what they are told meanwhile.

The one rule: everybody hears what is going on, and only the first of them is to say it aloud, so that ten xdist workers
don't print the same line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from pytest_vcluster.errors import VClusterError
from pytest_vcluster.service.occupant import Occupant
from pytest_vcluster.service.seats import Limits, Seat, SeatState, Ticket

Tell = Callable[[str, bool], None]
"""Takes what is going on, and whether somebody else is told the same."""


class Waiter:
    """Somebody who waits for a cluster."""

    def __init__(self, ticket: Ticket, tell: Tell) -> None:
        self.ticket = ticket
        self.tell = tell
        self.occupant: asyncio.Future[Occupant] = asyncio.get_running_loop().create_future()


class WaitingRoom:
    """All who wait."""

    def __init__(self) -> None:
        self._waiters: dict[int, Waiter] = {}
        self._for_host: dict[asyncio.Future[Mapping[str, object]], Tell] = {}
        self._news = ""

    def enter(self, ticket: Ticket, tell: Tell) -> Waiter:
        """Begin to wait for a cluster."""
        waiter = self._waiters[ticket.number] = Waiter(ticket, tell)
        return waiter

    def leave(self, ticket: Ticket) -> Waiter | None:
        """Wait no longer; returns who waited."""
        return self._waiters.pop(ticket.number, None)

    def enter_for_host(self, tell: Tell) -> asyncio.Future[Mapping[str, object]]:
        """Begin to wait for the host."""
        future: asyncio.Future[Mapping[str, object]] = asyncio.get_running_loop().create_future()
        self._for_host[future] = tell
        future.add_done_callback(lambda done: self._for_host.pop(done, None))
        return future

    def host_runs(self, facts: Mapping[str, object]) -> None:
        """Answer those who wait for the host."""
        for future in tuple(self._for_host):
            if not future.done():
                future.set_result(facts)

    def host_failed(self, error: VClusterError) -> None:
        """Tell those who wait for the host that there will be none."""
        for future in tuple(self._for_host):
            if not future.done():
                future.set_exception(error)

    def fail(self, tickets: Iterable[Ticket], error: VClusterError) -> None:
        """Tell those with `tickets` that they won't get a cluster."""
        for ticket in tickets:
            waiter = self._waiters.pop(ticket.number, None)
            if waiter is not None and not waiter.occupant.done():
                waiter.occupant.set_exception(error)

    def tell(self, text: str) -> None:
        """Pass on what is going on with something that all wait for."""
        self._news = text
        tells = [*(waiter.tell for waiter in self._waiters.values()), *self._for_host.values()]
        for number, tell in enumerate(tells):
            tell(text, number > 0)

    def tell_situation(self, seats: Iterable[Seat], limits: Limits) -> None:
        """Tell everybody what their own waiting is about."""
        seats = tuple(seats)
        for number, waiter in enumerate(self._waiters.values()):
            waiter.tell(situation(waiter.ticket, seats, limits, news=self._news), number > 0)


def situation(ticket: Ticket, seats: Iterable[Seat], limits: Limits, *, news: str) -> str:
    """Say what a ticket waits for."""
    counted = [seat for seat in seats if seat.state is not SeatState.KEPT]
    if any(seat.state is SeatState.PREPARING and seat.key == ticket.key for seat in counted):
        return news or f"starting a Kubernetes {ticket.key.version} cluster"
    holders = ", ".join(sorted({seat.holder for seat in counted if seat.state is SeatState.LEASED}))
    if len(counted) >= limits.size:
        return (
            f"waiting for one of {len(counted)} clusters, the most that are allowed (--vcluster-pool; by default as "
            f"many as there is memory for), in use by: {holders or 'nobody'}"
        )
    if any(seat.state is SeatState.RECYCLING and seat.key == ticket.key for seat in counted):
        return "waiting for a cluster that is being put back"
    return f"waiting until the host or another cluster has started; clusters are in use by: {holders or 'nobody'}"

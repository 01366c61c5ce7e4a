"""Who can't have a cluster, and why: told once to all who wait, and at once to who asks for the same later.

The one rule: an error ends everybody's waiting whom it concerns; only one that can't pass while a run goes on is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_vcluster.errors import ProvisionError, ToolchainError, VClusterError
from pytest_vcluster.service.backplane import DeathOf
from pytest_vcluster.service.failures import as_ours, spell
from pytest_vcluster.service.pool import Pool
from pytest_vcluster.service.seats import Key
from pytest_vcluster.service.waiting import WaitingRoom

_MOST_UNUSED_DEATHS = 2


class Refusals:
    """Ends the waiting in `room` and the tickets of `pool` that can't be served."""

    def __init__(self, pool: Pool, room: WaitingRoom) -> None:
        self._pool = pool
        self._room = room
        self._lasting: dict[Key, VClusterError] = {}
        self._unused_deaths: dict[Key, int] = {}

    def check(self, key: Key) -> None:
        """Raise why nobody can have such a cluster in this run, if that is known."""
        if key in self._lasting:
            raise self._lasting[key]

    def refuse(self, key: Key | None, error: Exception) -> None:
        """Tell all who wait for such a cluster, or everybody; binaries don't appear while a run goes on."""
        self._tell(key, as_ours(error), lasting=isinstance(error, ToolchainError))

    def refuse_for_good(self, key: Key, error: VClusterError) -> None:
        """Tell all who wait for such a cluster, and all who ever ask."""
        self._lasting[key] = error
        self._tell(key, error)

    def served(self, key: Key) -> None:
        """Note that somebody got such a cluster."""
        self._unused_deaths.pop(key, None)

    def died_unused(self, key: Key, deaths: Sequence[DeathOf]) -> None:
        """Note that such a cluster died before anybody had it; refuse them when that happens again and again."""
        self._unused_deaths[key] = self._unused_deaths.get(key, 0) + 1
        if self._unused_deaths[key] > _MOST_UNUSED_DEATHS:
            self.refuse(key, ProvisionError("Clusters die before any test gets them.\n" + spell(deaths)))

    def _tell(self, key: Key | None, error: VClusterError, *, lasting: bool = False) -> None:
        tickets = self._pool.fail(key)
        if lasting:
            self._lasting |= {ticket.key: error for ticket in tickets}
        self._room.fail(tickets, error)
        if key is None:
            self._pool.host_wanted = False
            self._room.host_failed(error)

"""A cluster in its seat: what the service remembers of it between its first process and its last.

The one rule: it is written by `Clusters`, and read by the lease that has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pytest_vcluster.service.backplane import DeathOf, VirtualCluster
from pytest_vcluster.service.gate import Gate, open_gate
from pytest_vcluster.service.lease_terms import Death
from pytest_vcluster.service.seats import Key
from pytest_vcluster.service.shared import Shared


class Occupant:
    """The cluster in a seat."""

    def __init__(self, seat: int, key: Key, shared: Shared) -> None:
        self.seat = seat
        self.key = key
        self.shared = shared
        self.cluster: VirtualCluster | None = None
        self.preparing: asyncio.Task[None] | None = None
        self.prepared_seconds = 0.0
        self.gate: Gate | None = None
        self.deaths: list[Death] = []
        self.news = asyncio.Event()
        """Set when there is more in `deaths`; whoever reads them clears it."""
        self._used_ports: set[int] = set()
        self._leave = asyncio.Event()

    @property
    def leaving(self) -> bool:
        """Whether the cluster is to end."""
        return self._leave.is_set()

    async def open_gate(self) -> Gate:
        """Open a gate for a new lease of the cluster; ProvisionError if there is no port for it."""
        assert self.cluster is not None
        self.gate = await open_gate(self.cluster.backend, at=self.cluster.entrance, used_ports=self._used_ports)
        return self.gate

    def close_gate(self) -> None:
        """Cut whoever is connected; harmless if nobody can be."""
        if self.gate is not None:
            self.gate.close()
            self.gate = None

    def suffer(self, deaths: Sequence[DeathOf]) -> None:
        """Take note of deaths that this cluster suffers from."""
        known = {(death.component, death.status) for death in self.deaths}
        self.deaths += [
            Death(component=death.component, status=death.status, log=death.log, tail=death.tail)
            for death in deaths
            if (death.component, death.status) not in known
        ]
        self.news.set()

    def leave(self) -> None:
        """Have the cluster end, in the middle of its preparation if need be."""
        self.close_gate()
        self._leave.set()
        if self.cluster is None and self.preparing is not None:
            self.preparing.cancel()

    async def until_leaving(self) -> bool:
        """Wait until the cluster is to end (True) or one of its processes ended (False)."""
        assert self.cluster is not None
        if self.deaths or self.leaving:
            return await self._leave.wait()
        leaving = asyncio.ensure_future(self._leave.wait())
        dying = asyncio.ensure_future(self.cluster.died.wait())
        try:
            await asyncio.wait((leaving, dying), return_when=asyncio.FIRST_COMPLETED)
            return leaving.done()
        finally:
            leaving.cancel()
            dying.cancel()

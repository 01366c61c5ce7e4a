"""One lease, from the request to the end of the connection.

The one rule: the connection is the lease. However it ends (released, hung up, crashed), the gate is closed first and
the cluster goes back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pytest_vcluster.errors import ProvisionError, VClusterError
from pytest_vcluster.service.clusters import Clusters
from pytest_vcluster.service.connection import Connection
from pytest_vcluster.service.failures import as_ours
from pytest_vcluster.service.lease_terms import Grant, Kept, grant_of
from pytest_vcluster.service.occupant import Occupant
from pytest_vcluster.service.protocol import Died, Failed, Granted, Message, OpenLease, Progress, Release, Released
from pytest_vcluster.service.statistics import Statistics
from pytest_vcluster.service.steps import Step, Steps, on_host
from pytest_vcluster.service.wire_errors import describe_error

_ATTEMPTS = 3
Keep = Callable[[Occupant, Grant, str], Kept | None]
"""Takes a cluster that the test wants to be kept, its grant and its holder; None if it can't be kept."""


class LeaseDesk:
    """Serves leases."""

    def __init__(self, clusters: Clusters, statistics: Statistics, *, keep: Keep) -> None:
        self._clusters = clusters
        self._statistics = statistics
        self._keep = keep

    async def serve(self, connection: Connection, asked: OpenLease) -> None:
        """Serve the lease that `asked` opens, until it ends."""
        ended = asyncio.ensure_future(connection.receive())
        try:
            occupant, grant = await self._grant(connection, asked, ended)
            try:
                await self._hold(connection, occupant, grant, asked=asked, ended=ended)
            finally:
                self._clusters.release(occupant)  # harmless if it was released or kept
        except VClusterError as error:
            connection.send(Failed(error=describe_error(error)))
        except _HungUp:
            return
        finally:
            ended.cancel()

    async def _hold(
        self,
        connection: Connection,
        occupant: Occupant,
        grant: Grant,
        *,
        asked: OpenLease,
        ended: asyncio.Future[Message | None],
    ) -> None:
        connection.send(Granted(grant=grant))
        steps = Steps(connection, occupant, self._clusters, asked)
        try:
            message = await self._until_ended(connection, occupant, ended)
            while isinstance(message, Step):
                await steps.take(message)
                ended = asyncio.ensure_future(connection.receive())
                message = await self._until_ended(connection, occupant, ended)
        finally:
            ended.cancel()
        if isinstance(message, Release):
            kept = self._keep(occupant, grant, asked.request.holder) if message.keep else None
            if kept is None:
                self._clusters.release(occupant)
            connection.send(Released(kept=kept))

    async def _grant(
        self, connection: Connection, asked: OpenLease, ended: asyncio.Future[Message | None]
    ) -> tuple[Occupant, Grant]:
        said = ""

        def tell(text: str, quiet: bool) -> None:  # noqa: FBT001 - a callback
            nonlocal said
            if text != said:
                said = text
                connection.send(Progress(text=text, quiet=quiet))

        failure: Exception = ProvisionError("no attempt was made")
        # Whatever befell one that was waiting may have befallen all of them.
        for _ in range(_ATTEMPTS + len(self._clusters.describe())):
            acquiring = asyncio.ensure_future(self._clusters.acquire(asked.request, worker=connection.pid, tell=tell))
            try:
                await asyncio.wait((acquiring, ended), return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not acquiring.done():
                    acquiring.cancel()
                    await asyncio.wait((acquiring,))
            if acquiring.cancelled():
                raise _HungUp
            occupant = acquiring.result()
            try:
                return occupant, await self._describe(occupant, asked)
            except Exception as error:  # it died just now, perhaps; whoever asks for facts notices first
                failure = error
                self._clusters.end(occupant)
                if ended.done():
                    raise _HungUp from error
                if isinstance(error, VClusterError):
                    break
            except BaseException:
                self._clusters.release(occupant)
                raise
        raise as_ours(failure)

    async def _describe(self, occupant: Occupant, asked: OpenLease) -> Grant:
        assert occupant.cluster is not None
        laid = self._clusters.is_laid(occupant)
        if asked.request.on_host or not laid:
            await on_host(occupant.cluster)
        gate = await occupant.open_gate()
        ip, port = gate.address
        facts = await asyncio.to_thread(occupant.cluster.facts, f"https://{ip}:{port}")
        waited = time.monotonic() - asked.asked
        self._statistics.granted(asked.request.version, waited)
        times = {"prepared_seconds": round(occupant.prepared_seconds, 4), "waited_seconds": round(waited, 4)}
        return grant_of({**facts, **times, "gate": f"{ip}:{port}", "laid": laid})

    async def _until_ended(
        self, connection: Connection, occupant: Occupant, ended: asyncio.Future[Message | None]
    ) -> Message | None:
        told = 0
        while True:
            news = asyncio.ensure_future(occupant.news.wait())
            try:
                await asyncio.wait((news, ended), return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()
            occupant.news.clear()
            for death in occupant.deaths[told:]:
                connection.send(Died(death=death))
                self._statistics.deaths += 1
            told = len(occupant.deaths)
            if ended.done():
                return ended.result()


class _HungUp(Exception):
    """Whoever asked is gone."""

"""What a lessee may ask of its cluster while it has it: to take its state for a baseline, to remember it, to go back.

The one rule: each is answered, by what came of it or by `Failed`; the lease goes on in either case.
"""

from __future__ import annotations

import asyncio

from pytest_vcluster.errors import ProvisionError, VClusterError
from pytest_vcluster.service.backplane import VirtualCluster
from pytest_vcluster.service.clusters import Clusters
from pytest_vcluster.service.connection import Connection
from pytest_vcluster.service.occupant import Occupant
from pytest_vcluster.service.protocol import (
    CheckpointTaken,
    Failed,
    ImageLoaded,
    Laid,
    LoadImage,
    Message,
    NotLaid,
    OpenLease,
    RestoreCheckpoint,
    Restored,
    Settled,
    TakeCheckpoint,
)
from pytest_vcluster.service.wire_errors import describe_error

Step = Laid | NotLaid | TakeCheckpoint | RestoreCheckpoint | LoadImage


class Steps:
    """The steps of one lease."""

    def __init__(self, connection: Connection, occupant: Occupant, clusters: Clusters, asked: OpenLease) -> None:
        self._connection = connection
        self._occupant = occupant
        self._clusters = clusters
        self._request = asked.request

    async def take(self, step: Step) -> None:
        """Do what is asked, and answer."""
        assert self._occupant.cluster is not None
        try:
            answer = await self._answer(step, self._occupant.cluster)
        except Exception as error:
            answer = Failed(error=describe_error(error))
            if isinstance(step, Laid):
                self._give_up(str(error))
        self._connection.send(answer)

    async def _answer(self, step: Step, cluster: VirtualCluster) -> Message:
        await on_host(cluster)
        match step:
            case Laid():
                revision = await cluster.settle(about=self._request.baseline_about)
                self._clusters.laid(self._occupant)
                return Settled(revision=revision)
            case NotLaid(why=why):
                self._give_up(why)
                return Settled(revision=0)
            case TakeCheckpoint():
                return CheckpointTaken(checkpoint=await cluster.checkpoint())
            case RestoreCheckpoint(checkpoint=name):
                return Restored(restless=await cluster.restore(name))
            case LoadImage(reference=reference):
                await cluster.load_image(reference)
                return ImageLoaded()

    def _give_up(self, why: str) -> None:
        assert self._occupant.cluster is not None
        if self._occupant.cluster.died.is_set():
            return  # that is why; whoever is next may have more luck
        self._clusters.not_laid(self._occupant, not_laid(self._request.holder, why))


def not_laid(holder: str, why: str) -> VClusterError:
    """Make the error for those who want a baseline that another test failed to lay."""
    return ProvisionError(f"The baseline of this cluster could not be prepared; {holder} tells all about it. {why}")


async def on_host(cluster: VirtualCluster) -> None:
    """Wait until a cluster has its nodes, or has died."""
    waits = [asyncio.ensure_future(event.wait()) for event in (cluster.on_host, cluster.died)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()

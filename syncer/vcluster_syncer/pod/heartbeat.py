"""Ending a cluster that nobody wants any more: its owner is deleted, and the host's garbage collector takes the rest.

The one rule: clocks of two machines are never compared. A Lease is alive that changes as seen by our own clock, and
only time counts in which we could see it: who can't reach the host knows nothing of who renews it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from vcluster_syncer.carriage import OwningService
from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import Conflict, KubeError, NotFound
from vcluster_syncer.model import PODS, SERVICES, Resource, Rule
from vcluster_syncer.pod_options import Heartbeat

_log = logging.getLogger(__name__)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
RULES = (
    Rule(LEASES.group, (LEASES.plural,), ("delete", "get")),
    Rule(SERVICES.group, (SERVICES.plural,), ("delete", "get")),
    Rule(PODS.group, (PODS.plural,), ("delete", "list")),
)
"""What it takes to look at a Lease, and to delete it, the owner and what runs."""
_LOOKS = 9
"""How often to look in the time that a Lease has."""


class Pulse:
    """How long nothing was seen to be alive, looking every `period` seconds."""

    def __init__(self, period: float) -> None:
        self.silent = 0.0
        self._period = period
        self._last: str | None = None
        self._at: float | None = None

    def seen(self, beat: str | None, *, at: float) -> None:
        """Take note of what a look at the time `at` has shown: when the Lease says it was renewed; None: it is gone."""
        if beat is not None and beat != self._last:
            self._last, self.silent = beat, 0.0
        elif self._at is not None:
            # What was longer ago than it should be nobody has seen: the host was away, or we were stopped.
            self.silent += min(at - self._at, 2 * self._period)
        self._at = at


class Keeper:
    """Looks at the Lease of a cluster until it is renewed no more."""

    def __init__(
        self, host: Client, heartbeat: Heartbeat, owner: OwningService, *, namespace: str, clock: Callable[[], float]
    ) -> None:
        self.gone = ""
        """Why the cluster ends, empty while it doesn't."""
        self._host = host
        self._heartbeat = heartbeat
        self._owner = owner
        self._namespace = namespace
        self._clock = clock
        self._period = heartbeat.seconds / _LOOKS
        self._lease = ""
        """The uid of the Lease that was seen last."""

    async def run(self) -> None:
        """Return when the owner is deleted."""
        pulse = Pulse(self._period)
        while True:
            try:
                # Its uid, too, as long as it can't have been made anew by somebody else.
                await self._owner.found()
                beat = await self._look()
            except KubeError as error:
                _log.info("the lease %s can't be seen: %s", self._heartbeat.lease, error)
            else:
                pulse.seen(beat, at=self._clock())
            if pulse.silent >= self._heartbeat.seconds:
                break
            await asyncio.sleep(self._period)
        self.gone = f"the lease {self._heartbeat.lease} was not renewed for {pulse.silent:.0f} s: nobody wants it"
        _log.warning("this cluster ends: %s", self.gone)
        # First, because with the owner go the rights; all clusters of the run have seen the same silence.
        await self._delete_lease()
        await self._delete_pods()
        while True:
            if await self._deleted():
                return
            await asyncio.sleep(self._period)

    async def _look(self) -> str | None:
        try:
            lease = await self._host.send(requests.get(LEASES, namespace=self._namespace, name=self._heartbeat.lease))
        except NotFound:
            return None
        self._lease = lease["metadata"]["uid"]
        return str((lease.get("spec") or {}).get("renewTime") or "")

    async def _delete_lease(self) -> None:
        """Delete the Lease of a run that is dead: nobody else may be left who would. The next run would, too."""
        if not self._lease:
            return
        request = requests.delete(LEASES, namespace=self._namespace, name=self._heartbeat.lease, uid=self._lease)
        try:
            await self._host.send(request)
        except (NotFound, Conflict):
            return
        except KubeError as error:
            _log.warning("the lease %s can't be deleted: %s", self._heartbeat.lease, error)

    async def _delete_pods(self) -> None:
        """Delete the pods that are carried, at once: the garbage collector would grant them the time they ask for."""
        try:
            owner = await self._owner.found()
            listed = await self._host.send(requests.list_page(PODS, namespace=self._namespace, limit=0))
            for found in (each["metadata"] for each in listed["items"]):
                if any(each["uid"] == owner.uid for each in found.get("ownerReferences") or ()):
                    request = requests.delete(
                        PODS, namespace=self._namespace, name=found["name"], uid=found["uid"], grace_seconds=0
                    )
                    with contextlib.suppress(NotFound, Conflict):
                        await self._host.send(request)
        except KubeError as error:
            _log.warning("pods of this cluster can't be deleted at once: %s", error)

    async def _deleted(self) -> bool:
        try:
            owner = await self._owner.found()
            await self._host.send(requests.delete(SERVICES, namespace=owner.namespace, name=owner.name, uid=owner.uid))
        except (NotFound, Conflict):
            # It is gone, whoever has its name now.
            return True
        except KubeError as error:
            _log.warning("the owner of this cluster can't be deleted: %s", error)
            return False
        return True

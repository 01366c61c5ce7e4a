"""One virtual cluster that is a pod, as the run service hands it out.

The one rule: it is spoken to by two TLS servers only, its API server and its syncer's admin API; the host is asked only
whether the pod lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_vcluster.controlplane.addresses import Address
from pytest_vcluster.controlplane.datastore import decoded
from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.hosts import syncer
from pytest_vcluster.hosts.granting import Identity
from pytest_vcluster.hosts.in_cluster import health
from pytest_vcluster.hosts.recyclable import KeepBaseline, Recyclable
from pytest_vcluster.settings import NodeShape

_PODS_SECONDS = 60.0
"""Pods that are not ready after so long may never be; then the baseline is as it is."""
_POLL_SECONDS = 0.1
_MET = "its controller manager met kinds that are gone, or remembers what autoscalers wanted"
_REVIVED = "objects of it had ended and are there again, and its controller manager remembers their end"
PREFIX = "/registry/"
"""Where the API server of a pod keeps everything in the pod's etcd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Where the two servers of a pod are reached from here."""

    api: Address
    admin: Address


class PodCluster(Recyclable):
    """A virtual cluster whose control plane is a pod of the host."""

    def __init__(
        self,
        *,
        name: str,
        version: str,
        nodes: Sequence[NodeShape],
        reached: Reached,
        entrance: str,
        pki: Path,
        identity: Identity,
        host: Mapping[str, str],
        have_images: Callable[[Sequence[str]], Awaitable[None]],
        timeout: float,
        keep_baseline: KeepBaseline | None,
        laid: bool,
        compare: bool,
    ) -> None:
        super().__init__(
            name=name,
            version=version,
            nodes=nodes,
            identity=identity,
            host=host,
            connect=syncer.over_tls(reached.admin, pki=pki),
            timeout=timeout,
            keep_baseline=keep_baseline,
            laid=laid,
            compare=compare,
        )
        self.entrance = entrance
        self.restarts: Mapping[str, int] = {}
        """How often each of the pod's containers had begun anew when the cluster was ready."""
        self._reached = reached
        self._pki = pki
        self._have_images = have_images
        self._remembers = False

    @property
    def backend(self) -> tuple[str, int]:
        """Where the API server is reached: what a lease's gate leads to."""
        return self._reached.api.ip, self._reached.api.port

    def health(self) -> tuple[int, str]:
        """What the syncer says of the cluster: 200 when it can be used; OSError if nobody answers."""
        return syncer.health(self._connect)

    def api(self) -> Client:
        """Open a connection to the API server, as system:masters."""
        return Client.over_tls(
            self._reached.api.ip,
            self._reached.api.port,
            authority=self._pki / "server-ca.crt",
            certificate=self._pki / "admin.crt",
            key=self._pki / "admin.key",
            timeout=self._timeout,
        )

    async def settle(self, *, about: str) -> int:
        """Take the present state for the baseline, as soon as its pods have become what they will be.

        Containers take their time on real nodes: a baseline of pods that still start would never be found again.
        """
        await asyncio.to_thread(self._await_pods)
        return await super().settle(about=about)

    def _await_pods(self) -> None:
        deadline = time.monotonic() + min(_PODS_SECONDS, self._timeout)
        with contextlib.closing(self.api()) as client:
            while not health.at_rest(client.call("GET", "/api/v1/pods")["items"]) and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)

    def read(self) -> dict[bytes, bytes]:
        """Read all that is stored, by keys below the cluster's prefix."""
        return decoded(self.read_raw(), PREFIX)

    def read_raw(self) -> dict[str, Any]:
        """Read all that is stored, as etcd's gateway gives it."""
        return syncer.state(self._connect, self.name, timeout=self._timeout)

    def changed_since(self, revision: int) -> tuple[int, list[bytes], int]:
        """The present revision, the keys written after `revision`, and the number of all keys."""
        answer = syncer.changes(self._connect, self.name, since=revision, timeout=self._timeout)
        return int(answer["revision"]), [key.encode() for key in answer["changed"]], int(answer["total"])

    async def load_image(self, reference: str) -> None:
        """Have an image on all nodes; HostError if it can't be had."""
        await self._have_images([reference])

    async def _forget_what_ended(self) -> None:
        # The syncer learns the cluster anew. The controller manager can't be replaced: kubelet takes its time to start
        # containers again, and longer each time. What it remembers ends with the lease.
        self._remembers = True
        await self._order(_relearnt)

    async def _renewed(self, outcome: dict[str, Any]) -> dict[str, Any]:
        # For the same reason.
        return {**outcome, "pristine": False, "reason": _MET}

    def _worn(self) -> str:
        # Memory is the kubelet's business: a pod that outgrows its limit dies, and its lease is told.
        return _REVIVED if self._remembers else ""

    def _logs(self) -> Mapping[str, Mapping[str, object]]:
        return {}  # the host keeps them

    def _host_now(self) -> Mapping[str, str]:
        return {**self._host, "leased_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _relearnt(connect: syncer.Connect, name: str, *, timeout: float) -> dict[str, Any]:
    return syncer.restart(connect, name, freeze=(), timeout=timeout)

"""One virtual cluster as the run service hands it out.

The one rule: it exists only while its control plane answers; what it says of itself is enough to make a lease.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol

from pytest_vcluster.comparison import ApiState, differences, read
from pytest_vcluster.comparison.reading import all_schemas
from pytest_vcluster.controlplane import kubeconfig
from pytest_vcluster.controlplane.component import Death, RunningComponent
from pytest_vcluster.controlplane.datastore import Datastore
from pytest_vcluster.controlplane.plane import ControlPlane
from pytest_vcluster.errors import ApiError, ProvisionError
from pytest_vcluster.hosts import syncer
from pytest_vcluster.settings import NodeShape

MOST_LEASES = 500
"""After so many leases a cluster is replaced, whatever its state: what grows in it unseen starts anew."""
MOST_BYTES = 600 << 20
"""An API server that has grown beyond this (about 220 MB after its start) is replaced."""


class Order(Protocol):
    """An order to the syncer that concerns one cluster."""

    def __call__(self, directory: Path, name: str, *, timeout: float) -> dict[str, Any]:
        """Give it, and return the answer."""


KeepBaseline = Callable[["VirtualCluster", str], Awaitable[None]]
"""Keeps the state of a cluster for others to start from; takes what people call it."""


class NotPristine(Exception):
    """A cluster that was to be handed out is not as it was verified."""


class VirtualCluster:
    """A virtual cluster that runs. `died` is set as soon as a process of it ended, `on_host` when it has its nodes."""

    def __init__(
        self,
        plane: ControlPlane,
        *,
        nodes: Sequence[NodeShape],
        host: Mapping[str, str],
        directory: Path,
        watch: Callable[[RunningComponent], None],
        keep_baseline: KeepBaseline | None = None,
        laid: bool = False,
        compare: bool = False,
    ) -> None:
        self.plane = plane
        self.nodes = tuple(nodes)
        self.deaths: list[Death] = []
        self.died = asyncio.Event()
        self.on_host = asyncio.Event()
        self.laid = laid
        self.differences: tuple[str, ...] = ()
        """How the cluster differed from what it was when it was fresh, at the last recycling; see `compare`."""
        self._compare = compare
        self._fresh: ApiState | None = None
        self._host = host
        self._directory = directory
        self._watch = watch
        self._keep_baseline = keep_baseline
        self._read_before: dict[str, Any] | None = None
        self._recycled = 0
        self._verified: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The cluster's name, which is its namespace on the host too."""
        return self.plane.settings.name

    @property
    def version(self) -> str:
        """The Kubernetes version, such as v1.36.4."""
        return self.plane.settings.version

    @property
    def backend(self) -> tuple[str, int]:
        """Where the API server listens: what a lease's gate leads to."""
        return self.plane.address.ip, self.plane.address.port

    async def take_baseline(self) -> None:
        """Have the present state, as soon as it comes to rest, be what `recycle` leads back to."""
        try:
            outcome = await self._order(syncer.take_baseline)
        except (OSError, HTTPException, ApiError) as error:
            raise ProvisionError(f"No baseline could be taken: {_reason(error)}") from error
        self._verified = int(outcome["revision"]), int(outcome["keys"])
        if self._compare:
            self._fresh = await asyncio.to_thread(self._read)

    async def settle(self, *, about: str) -> int:
        """Take the state that a test laid as the baseline, for this cluster and, where it can be cloned, for others."""
        await self.take_baseline()
        assert self._verified is not None
        self.laid = True
        if self._keep_baseline is not None:
            await self._keep_baseline(self, about)
        return self._verified[0]

    async def checkpoint(self) -> str:
        """Remember the present state; returns its name."""
        try:
            return str((await self._order(syncer.checkpoint))["checkpoint"])
        except (OSError, HTTPException, ApiError) as error:
            raise ProvisionError(f"No checkpoint could be taken: {_reason(error)}") from error

    async def restore(self, checkpoint: str) -> str:
        """Go back to a checkpoint; returns what somebody kept writing meanwhile, in words."""
        try:
            outcome = await self._order(functools.partial(syncer.restore, checkpoint=checkpoint))
            if outcome["revived"]:
                # Both keep track of objects by uid, and saw the end of some that are there again.
                fresh = await self.plane.restart_controller_manager()
                self._watch(fresh)
                restart = functools.partial(syncer.restart, freeze=[fresh.pid])
                await self._order(restart)
        except (OSError, HTTPException, ApiError) as error:
            raise ProvisionError(f"The checkpoint could not be restored: {_reason(error)}") from error
        return str(outcome["restless"])

    async def _order(self, order: Order) -> dict[str, Any]:
        return await asyncio.to_thread(order, self._directory, self.name, timeout=self.plane.settings.timeout)

    async def recycle(self) -> str:
        """Put the cluster back to its baseline, verified; returns why that did not work, or nothing.

        Whoever had it must be cut off before.
        """
        before = None
        if self._verified is None:
            if self._read_before is None:
                return "its baseline was never taken"
            before, self._read_before = self._read_before, None
            await self._on_host_or_dead()
            if self.died.is_set():
                return "one of its processes died"
        self._verified = None
        try:
            outcome = await self._order(functools.partial(syncer.recycled, read_before=before))
        except (OSError, HTTPException, ApiError) as error:
            return f"the recycler failed: {_reason(error)}"
        if not outcome["pristine"]:
            return str(outcome["reason"])
        self._verified = int(outcome["revision"]), int(outcome["keys"])
        if self._fresh is not None:
            found = await asyncio.to_thread(self._read)
            self.differences = tuple(differences(self._fresh, found))
            if self.differences:
                return f"it differs from what it was when it was fresh: {self.differences[0]}"
        return self._worn()

    async def _on_host_or_dead(self) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self.on_host, self.died)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _read(self) -> ApiState:
        client = self.plane.api()
        try:
            return read(client, with_schema=all_schemas if self._fresh is None else self._fresh.has_other_schema)
        finally:
            client.close()

    def _worn(self) -> str:
        """Why the cluster should not be used any more though it is pristine."""
        self._recycled += 1
        if self._recycled >= MOST_LEASES:
            return f"it has served {self._recycled} leases"
        grown = resident_bytes(self.plane.components[0].pid)
        if grown > MOST_BYTES:
            return f"its API server has grown to {grown >> 20} MB"
        return ""

    def facts(self, url: str) -> dict[str, object]:
        """What a lease that reaches the cluster at `url` is granted (blocks for a request to etcd)."""
        plane = self.plane
        datastore = Datastore(plane.settings.etcd_socket)
        try:
            if self._verified is not None:
                revision = self._untouched(datastore)
            else:
                # Handed out before the host runs, so the syncer can't take the baseline: this is what it will go by.
                self._read_before = datastore.read_raw(plane.settings.etcd_prefix)
                revision = int(self._read_before["header"]["revision"])
        finally:
            datastore.close()
        return {
            "cluster": self.name,
            "version": self.version,
            "url": url,
            "kubeconfig": kubeconfig.render(
                name=self.name, server=url, certificate_authority=plane.server_authority, client=plane.admin
            ),
            "certificate_authority": plane.server_authority,
            "client_certificate": plane.admin.certificate,
            "client_key": plane.admin.key,
            "client_ca_certificate": plane.client_authority.certificate,
            "client_ca_key": plane.client_authority.key,
            "revision": revision,
            "logs": {
                component.name.rpartition("/")[2]: {
                    "path": str(component.log),
                    "offset": component.log.stat().st_size,
                }
                for component in plane.components
            },
            "host": dict(self._host),
        }

    def _untouched(self, datastore: Datastore) -> int:
        """The present revision; NotPristine if anything was written since the cluster was verified."""
        assert self._verified is not None
        since, keys = self._verified
        revision, changed, total = datastore.changed_since(self.plane.settings.etcd_prefix, since)
        if changed or total != keys:
            names = ", ".join(key.decode(errors="replace") for key in changed[:5]) or "some are gone"
            raise NotPristine(f"{self.name} was written to after it was verified: {names}")
        return revision


def _reason(error: Exception) -> str:
    """What the syncer said, without how it was asked."""
    return str(error).partition(": ")[2] if isinstance(error, ApiError) else f"{type(error).__name__}: {error}"


def resident_bytes(pid: int) -> int:
    """Resident memory of a process; 0 where the system does not tell (outside Linux) or it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0

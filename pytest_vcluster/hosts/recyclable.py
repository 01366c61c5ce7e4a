"""What recycling, baselines and checkpoints of a virtual cluster are, wherever it runs.

The one rule: a cluster is handed out only if nothing was written to it since the syncer verified it; where that can't
be told, it is not handed out.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pytest_vcluster.comparison import ApiState, differences, read
from pytest_vcluster.comparison.reading import all_schemas
from pytest_vcluster.controlplane.component import Death
from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.errors import ApiError, ProvisionError
from pytest_vcluster.hosts import syncer
from pytest_vcluster.hosts.granting import Identity, grant_facts
from pytest_vcluster.settings import NodeShape

_log = logging.getLogger(__name__)
MOST_LEASES = 500
"""After so many leases a cluster is replaced, whatever its state: what grows in it unseen starts anew."""


class Order(Protocol):
    """An order to the syncer that concerns one cluster."""

    def __call__(self, connect: syncer.Connect, name: str, *, timeout: float) -> dict[str, Any]:
        """Give it, and return the answer."""


class KeepBaseline(Protocol):
    """Keeps the state of a cluster for others to start from."""

    async def __call__(self, cluster: Recyclable, about: str) -> None:
        """Keep it; `about` is what people call it."""


class NotPristine(Exception):
    """A cluster that was to be handed out is not as it was verified."""


class Recyclable(ABC):
    """A virtual cluster that runs. `died` is set as soon as a process of it ended, `on_host` when it has its nodes."""

    def __init__(
        self,
        *,
        name: str,
        version: str,
        nodes: Sequence[NodeShape],
        identity: Identity,
        host: Mapping[str, str],
        connect: syncer.Connect,
        timeout: float,
        keep_baseline: KeepBaseline | None,
        laid: bool,
        compare: bool,
    ) -> None:
        self.name = name
        self.version = version
        self.nodes = tuple(nodes)
        self._identity = identity
        self._host = host
        self.deaths: list[Death] = []
        self.died = asyncio.Event()
        self.on_host = asyncio.Event()
        self.laid = laid
        self.differences: tuple[str, ...] = ()
        """How the cluster differed from what it was when it was fresh, at the last recycling; see `compare`."""
        self._connect = connect
        self._timeout = timeout
        self._compare = compare
        self._fresh: ApiState | None = None
        self._keep_baseline = keep_baseline
        self._read_before: dict[str, Any] | None = None
        self._recycled = 0
        self._verified: tuple[int, int] | None = None

    @abstractmethod
    def api(self) -> Client:
        """Open a connection to the API server, as system:masters."""

    @abstractmethod
    def read(self) -> dict[bytes, bytes]:
        """Read all that is stored, by keys below the cluster's prefix."""

    @abstractmethod
    def read_raw(self) -> dict[str, Any]:
        """Read all that is stored, as etcd's gateway gives it."""

    @abstractmethod
    def changed_since(self, revision: int) -> tuple[int, list[bytes], int]:
        """The present revision, the keys written after `revision`, and the number of all keys."""

    @abstractmethod
    async def load_image(self, reference: str) -> None:
        """Have an image on all nodes; NotAvailableOnHost where that can't be, HostError where it can't be had."""

    @abstractmethod
    async def _forget_what_ended(self) -> None:
        """Have everybody who remembers objects by their uid learn the cluster anew."""

    @abstractmethod
    async def _renewed(self, outcome: dict[str, Any]) -> dict[str, Any]:
        """Replace a controller manager that `outcome` calls outdated; what came of recycling with the new one."""

    @abstractmethod
    def _worn(self) -> str:
        """Why the cluster should not be used any more though it is pristine."""

    @abstractmethod
    def _logs(self) -> Mapping[str, Mapping[str, object]]:
        """The logs of its components that are files of this machine, and how long they are now."""

    def facts(self, url: str) -> dict[str, object]:
        """What a lease that reaches the cluster at `url` is granted (blocks for a request to its data store)."""
        return grant_facts(
            name=self.name,
            version=self.version,
            url=url,
            identity=self._identity,
            revision=self._revision(),
            logs=self._logs(),
            host=self._host_now(),
        )

    def _host_now(self) -> Mapping[str, str]:
        """The host, as a lease that begins now is told of it."""
        return self._host

    async def take_baseline(self) -> None:
        """Have the present state, as soon as it comes to rest, be what `recycle` leads back to."""
        try:
            outcome = await self._order(syncer.take_baseline)
        except (OSError, ApiError) as error:
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
        except (OSError, ApiError) as error:
            raise ProvisionError(f"No checkpoint could be taken: {_reason(error)}") from error

    async def restore(self, checkpoint: str) -> str:
        """Go back to a checkpoint; returns what somebody kept writing meanwhile, in words."""
        try:
            outcome = await self._order(functools.partial(syncer.restore, checkpoint=checkpoint))
            if outcome["revived"] or outcome["outdated"]:
                await self._forget_what_ended()
        except (OSError, ApiError) as error:
            raise ProvisionError(f"The checkpoint could not be restored: {_reason(error)}") from error
        return str(outcome["restless"])

    async def _order(self, order: Order) -> dict[str, Any]:
        return await asyncio.to_thread(order, self._connect, self.name, timeout=self._timeout)

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
            if outcome["outdated"]:
                outcome = await self._renewed(outcome)
        except (OSError, ApiError) as error:
            return f"the recycler failed: {_reason(error)}"
        if not outcome["pristine"]:
            return str(outcome["reason"])
        self._verified = int(outcome["revision"]), int(outcome["keys"])
        _log.info("%s is back at its baseline: %s keys written, %s", self.name, outcome["written"], outcome["seconds"])
        if self._fresh is not None:
            found = await asyncio.to_thread(self._read)
            self.differences = tuple(differences(self._fresh, found))
            if self.differences:
                return f"it differs from what it was when it was fresh: {self.differences[0]}"
        self._recycled += 1
        return f"it has served {self._recycled} leases" if self._recycled >= MOST_LEASES else self._worn()

    async def _on_host_or_dead(self) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (self.on_host, self.died)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _read(self) -> ApiState:
        client = self.api()
        try:
            return read(client, with_schema=all_schemas if self._fresh is None else self._fresh.has_other_schema)
        finally:
            client.close()

    def _revision(self) -> int:
        """The revision that a lease begins at; NotPristine if anything was written since the cluster was verified."""
        if self._verified is None:
            # Handed out before the host runs, so the syncer can't take the baseline: this is what it will go by.
            self._read_before = self.read_raw()
            return int(self._read_before["header"]["revision"])
        since, keys = self._verified
        revision, changed, total = self.changed_since(since)
        if changed or total != keys:
            names = ", ".join(key.decode(errors="replace") for key in changed[:5]) or "some are gone"
            raise NotPristine(f"{self.name} was written to after it was verified: {names}")
        return revision


def _reason(error: Exception) -> str:
    """What the syncer said, without how it was asked."""
    return str(error).partition(": ")[2] if isinstance(error, ApiError) else f"{type(error).__name__}: {error}"

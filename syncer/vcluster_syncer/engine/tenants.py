"""The tenants of a process: they come and go while it runs.

The one rule: what goes wrong in one tenant stays in it. A tenant in which the engine itself failed is started again,
with backoff; a tenant that never came up is not kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from vcluster_syncer.engine import ground
from vcluster_syncer.engine.drain import Name
from vcluster_syncer.engine.metrics import Metrics
from vcluster_syncer.engine.tenant import Insight, NotSynced, Surroundings, TenantSync
from vcluster_syncer.isolation import NO_TERMS, Terms
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.model import Tenant, World
from vcluster_syncer.switches import refuse_unfit

_log = logging.getLogger(__name__)


class TenantExists(Exception):
    """A tenant of that name, or in that host namespace, is already carried."""


class NoSuchTenant(Exception):
    """No tenant of that name is carried."""


@dataclass(slots=True)
class _Carried:
    sync: TenantSync
    server: Server
    ready: asyncio.Future[None]
    task: asyncio.Task[None] | None = None
    terms: Terms = NO_TERMS
    failures: int = 0
    last_failure: str = ""


class Tenants:
    """Who is carried."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._carried: dict[str, _Carried] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, around: Surroundings) -> AsyncIterator[Tenants]:
        """No tenants yet; those still there at the end are removed."""
        tenants = cls(around)
        try:
            yield tenants
        finally:
            await asyncio.gather(*(tenants.remove(name) for name in list(tenants._carried)))

    async def add(self, tenant: Tenant, server: Server, terms: Terms = NO_TERMS) -> None:
        """Carry a tenant, on `terms` if any; returns once its objects were read and each was looked at.

        TenantExists, NoRoom, NotBounded, NotSynced, or NoSuchTenant if it was removed meanwhile. After an error it is
        not carried.
        """
        refuse_unfit(tenant, self._around.kinds)
        for name, other in self._carried.items():
            if name == tenant.name or other.sync.tenant.host_namespace == tenant.host_namespace:
                raise TenantExists(
                    f"tenant {name!r} (host namespace {other.sync.tenant.host_namespace!r}) is already carried; "
                    "DELETE it first, or choose another name and namespace"
                )
        sync = TenantSync(tenant, server, self._around)
        carried = _Carried(sync, server, asyncio.get_running_loop().create_future(), terms=terms)
        self._carried[tenant.name] = carried
        try:
            around = self._around
            await ground.prepare(around.host.client, tenant, terms, timing=around.timing, jitter=around.jitter)
        except BaseException:
            await self._forget(tenant.name, carried)
            raise
        await self._start(carried)

    async def _forget(self, name: str, carried: _Carried) -> None:
        """Take back what `add` began, unless somebody else did, or has begun it anew."""
        if self._carried.get(name) is carried:
            await self.remove(name)

    async def _start(self, carried: _Carried) -> None:
        tenant, server = carried.sync.tenant, carried.server
        if self._carried.get(tenant.name) is not carried:
            raise NoSuchTenant(f"tenant {tenant.name!r} was removed before it was ready")
        carried.task = asyncio.create_task(self._carry(carried, server), name=f"tenant {tenant.name}")
        try:
            await asyncio.shield(carried.ready)
        except BaseException:
            await self._forget(tenant.name, carried)
            raise

    async def restart(self, name: str) -> None:
        """Read a tenant anew, as if it were just added: what was remembered of it can't be trusted any more."""
        carried = self._carried.get(name)
        if carried is None:
            raise NoSuchTenant(f"no tenant {name!r}; there are: {', '.join(self._carried) or 'none'}")
        tenant, server = carried.sync.tenant, carried.server
        await self._stop(name)
        fresh = TenantSync(tenant, server, self._around)
        again = _Carried(fresh, server, asyncio.get_running_loop().create_future(), terms=carried.terms)
        self._carried[name] = again
        await self._start(again)

    async def remove(self, name: str) -> None:
        """Stop carrying a tenant: when this returns, its tasks have ended and its connections are closed.

        What was reserved for it is free again.
        """
        carried = await self._stop(name)
        await ground.release(self._around.host.client, carried.sync.tenant, carried.terms)

    async def _stop(self, name: str) -> _Carried:
        carried = self._carried.pop(name, None)
        if carried is None:
            raise NoSuchTenant(f"no tenant {name!r}; there are: {', '.join(self._carried) or 'none'}")
        if carried.task is not None:
            carried.task.cancel()
            await asyncio.wait([carried.task])
        if not carried.ready.done():
            carried.ready.set_exception(NoSuchTenant(f"tenant {name!r} was removed before it was ready"))
        elif carried.ready.exception() is not None:
            # Seen by `add`, or nobody asks any more.
            pass
        return carried

    async def drained(
        self, name: str, deleted: Mapping[Name, int], put: Mapping[Name, int] | None = None, *, timeout: float
    ) -> str:
        """Wait until nothing is left of a tenant's objects that are gone; see `TenantSync.drained`."""
        carried = self._carried.get(name)
        if carried is None:
            return f"tenant {name!r}, which is not carried"
        return await carried.sync.drained(deleted, put, timeout=timeout)

    def insight(self, name: str) -> Insight:
        """See into a tenant."""
        carried = self._carried.get(name)
        if carried is None:
            raise NoSuchTenant(f"no tenant {name!r}; there are: {', '.join(self._carried) or 'none'}")
        return carried.sync.insight()

    def troubles(self) -> list[str]:
        """Why host or tenants are not followed at the moment; empty if all are."""
        host = self._around.host.trouble()
        tenants = {name: carried.sync.trouble() for name, carried in self._carried.items()}
        return [f"host: {host}"] * bool(host) + [f"tenant {name}: {why}" for name, why in tenants.items() if why]

    @property
    def metrics(self) -> Metrics:
        """What was counted, over all tenants."""
        return self._around.host.metrics

    def world(self, name: str) -> World:
        """What is known of a tenant's objects at the moment."""
        carried = self._carried.get(name)
        if carried is None:
            raise NoSuchTenant(f"no tenant {name!r}; there are: {', '.join(self._carried) or 'none'}")
        return carried.sync.world

    def describe(self) -> list[dict[str, Any]]:
        """Tell of every tenant whether it is ready, what is queued and what is not in order."""
        return [
            {
                "name": name,
                "host_namespace": carried.sync.tenant.host_namespace,
                "ready": carried.ready.done(),
                "failures": carried.failures,
                "last_failure": carried.last_failure,
                **carried.sync.describe(),
            }
            for name, carried in self._carried.items()
        ]

    async def _carry(self, carried: _Carried, server: Server) -> None:
        """Carry until cancelled, again and again if the engine fails in it."""
        while True:
            try:
                await carried.sync.carry(ready=lambda: _set(carried.ready))
            except Exception as error:
                cause = _single(error)
                if not carried.ready.done():
                    carried.ready.set_exception(cause)
                    return
                carried.failures += 1
                self._around.host.metrics.tenant_failures.add()
                carried.last_failure = f"{type(cause).__name__}: {cause}"
                if not isinstance(cause, NotSynced):
                    _log.exception("tenant %s: starting again", carried.sync.tenant.name)
            await asyncio.sleep(self._around.timing.restart.after(carried.failures, jitter=self._around.jitter))
            carried.sync = TenantSync(carried.sync.tenant, server, self._around)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _single(error: Exception) -> Exception:
    """The one error in a task group's wrapping."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error

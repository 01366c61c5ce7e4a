"""The recyclers of a process: one for each tenant that has a data store to put back.

The one rule: a recycler does one thing at a time, and has connections of its own, so that it can tell the state of a
cluster even where the tenant is in trouble.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vcluster_syncer.engine.tenants import NoSuchTenant, Tenants
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.recycle.plain import Plain
from vcluster_syncer.recycle.recycler import Recycler
from vcluster_syncer.recycle.stored import Listing, Outcome
from vcluster_syncer.recycle.target import Target


class NoSuchCheckpoint(Exception):
    """There is no checkpoint of that name, any more."""


@dataclass(slots=True)
class _Kept:
    recycler: Recycler
    stack: AsyncExitStack
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Recyclers:
    """Who can be put back; made by `open`."""

    def __init__(self, tenants: Tenants, *, timeout: float) -> None:
        self._tenants = tenants
        self._timeout = timeout
        self._kept: dict[str, _Kept] = {}
        self._plain: Plain = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, tenants: Tenants, *, timeout: float) -> AsyncIterator[Recyclers]:
        """No recyclers yet; `timeout` (seconds) is for one request."""
        recyclers = cls(tenants, timeout=timeout)
        try:
            yield recyclers
        finally:
            for name in list(recyclers._kept):
                await recyclers.remove(name)

    async def add(self, name: str, target: Target, server: Server) -> None:
        """Have a recycler for the tenant `name`."""
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(Client.open(server, timeout=self._timeout))
            drained = partial(self._tenants.drained, name)
            opened = Recycler.open(target, client, drained=drained, plain=self._plain)
            recycler = await stack.enter_async_context(opened)
            self._kept[name] = _Kept(recycler, stack.pop_all())

    async def remove(self, name: str) -> None:
        """Do without a tenant's recycler; harmless if it has none."""
        kept = self._kept.pop(name, None)
        if kept is not None:
            async with kept.turn:
                await kept.stack.aclose()

    async def capture(self, name: str) -> Outcome:
        """Take the tenant's present state as its baseline; see `Recycler.capture`."""
        kept = self._of(name)
        async with kept.turn:
            return await kept.recycler.capture()

    async def recycle(self, name: str) -> Outcome:
        """Bring the tenant back to its baseline; see `Recycler.recycle`."""
        kept = self._of(name)
        async with kept.turn:
            return await kept.recycler.recycle()

    async def recycle_unseen(self, name: str, read_before: Mapping[str, Any]) -> Outcome:
        """Bring the tenant back to what it was before it was carried; see `Recycler.recycle_unseen`."""
        kept = self._of(name)
        async with kept.turn:
            return await kept.recycler.recycle_unseen(read_before)

    async def checkpoint(self, name: str) -> str:
        """Remember the tenant's present state; see `Recycler.checkpoint`."""
        kept = self._of(name)
        async with kept.turn:
            return await kept.recycler.checkpoint()

    async def restore(self, name: str, checkpoint: str) -> Outcome:
        """Bring the tenant back to a checkpoint; see `Recycler.restore`. NoSuchCheckpoint if there is none."""
        kept = self._of(name)
        async with kept.turn:
            try:
                return await kept.recycler.restore(checkpoint)
            except KeyError as error:
                raise NoSuchCheckpoint(f"tenant {name!r} has no checkpoint {checkpoint!r}") from error

    async def state(self, name: str) -> dict[str, Any]:
        """Read everything that a tenant has stored; see `Recycler.state`."""
        kept = self._of(name)
        async with kept.turn:
            return await kept.recycler.state()

    async def changes(self, name: str, since: int) -> Listing:
        """Tell what was written since a revision; see `Recycler.changes`."""
        kept = self._of(name)
        async with kept.turn:
            return await kept.recycler.changes(since)

    async def restart(self, name: str, *, freeze: Sequence[int]) -> None:
        """Have the syncer learn the tenant anew, because objects came back that it saw end; `freeze` as in `Target`."""
        kept = self._of(name)
        async with kept.turn:
            kept.recycler.freeze_others(freeze)
            await self._tenants.restart(name)

    async def recycle_awake(self, name: str, *, freeze: Sequence[int]) -> Outcome:
        """Have the tenant a new controller manager, the processes `freeze`; see `Recycler.recycle_awake`."""
        kept = self._of(name)
        async with kept.turn:
            return await kept.recycler.recycle_awake(freeze)

    def _of(self, name: str) -> _Kept:
        kept = self._kept.get(name)
        if kept is None:
            raise NoSuchTenant(f"no tenant {name!r} that can be recycled; there are: {', '.join(self._kept) or 'none'}")
        return kept

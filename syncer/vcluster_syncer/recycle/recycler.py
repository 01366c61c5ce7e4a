"""The way back: freeze, find what changed, write it back, wait until it shows, thaw, and look again until all is quiet.

The one rule: only what was verified is pristine. Whatever goes wrong on the way, an error included, ends in an
`Outcome` that is not pristine and names the reason; the cluster must then be thrown away.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import KubeError
from vcluster_syncer.recycle import barrier, canaries, canary_objects, rest
from vcluster_syncer.recycle.audit_log import Unreadable
from vcluster_syncer.recycle.barrier import Barrier, NotReached, Served
from vcluster_syncer.recycle.etcd import Etcd, StoreError
from vcluster_syncer.recycle.freeze import NotFrozen, frozen
from vcluster_syncer.recycle.open_requests import OpenRequests
from vcluster_syncer.recycle.plain import DEFINITIONS, Plain, is_extended, is_plain
from vcluster_syncer.recycle.requests import Requests
from vcluster_syncer.recycle.stored import Baseline, Listing, Outcome, object_of, shown
from vcluster_syncer.recycle.target import Drained, Limits, Target
from vcluster_syncer.recycle.way_back import NotPristine, WayBack

_MIRRORED = (b"minions/",)
_WRITTEN_LATE = (b"configmaps/kube-system/extension-apiserver-authentication",)
"""Written by the API server itself, perhaps a moment after it is ready, and again whenever it is missing."""
_CLOSED = (NotPristine, NotReached, NotFrozen, StoreError, KubeError, Unreadable)
"""What closes the way back."""


class Recycler:
    """Brings one virtual cluster back to its baseline; made by `open`."""

    def __init__(
        self,
        etcd: Etcd,
        client: Client,
        *,
        target: Target,
        drained: Drained,
        limits: Limits,
        on_step: Callable[[str], None],
        plain: Plain,
    ) -> None:
        self._etcd = etcd
        self._client = client
        self._freeze = target.freeze
        self._rest = target.rest
        self._commands = target.commands
        self._drained = drained
        self._limits = limits
        self._on_step = on_step
        self._plain = plain
        self._requests = Requests(target.audit)
        self._open = OpenRequests(target.audit)
        self._baseline: Baseline | None = None
        self._served: Served | None = None
        self._checkpoints: dict[str, tuple[Baseline, Served, int]] = {}
        self._seconds: dict[str, float] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        target: Target,
        client: Client,
        *,
        drained: Drained,
        limits: Limits | None = None,
        on_step: Callable[[str], None] = lambda _step: None,
        plain: Plain | None = None,
    ) -> AsyncIterator[Recycler]:
        """A recycler of `target`, whose API server `client` talks to. `on_step` hears of every step, for tests."""
        async with Etcd.open(target.etcd, target.prefix) as etcd:
            yield cls(
                etcd,
                client,
                target=target,
                drained=drained,
                limits=limits or Limits(),
                on_step=on_step,
                plain={} if plain is None else plain,
            )

    async def capture(self) -> Outcome:
        """Take the present state as the baseline, as soon as nothing changes any more.

        NotPristine with the keys that kept changing if that never happens.
        """
        deadline = time.monotonic() + self._limits.settling
        taken = await self._etcd.baseline()
        while True:
            await asyncio.sleep(self._limits.settled)
            changed = await self._etcd.changed_since(taken.revision)
            if not changed.stamps and changed.total == len(taken.stamps):
                break
            if time.monotonic() > deadline:
                keys = shown(changed.stamps) or "keys that come and go"
                raise NotPristine(f"it never came to rest within {self._limits.settling:g} s; still changing: {keys}")
            taken = await self._etcd.baseline()
        self._served = await self._ask_served(taken)
        if is_plain(taken):
            self._plain[self._served.documents[barrier.VERSION]] = self._served
        self._baseline = taken
        self._requests.begin()
        return Outcome(pristine=True, revision=taken.revision, keys=len(taken.values))

    async def recycle_unseen(self, read_before: Mapping[str, Any]) -> Outcome:
        """Bring the cluster back to what somebody read of its data store before we carried it, then `capture`.

        `read_before` is what etcd answered. The nodes that were mirrored since are made anew. What it served before
        nobody knows, unless another cluster of the same build told.
        """
        self._seconds = {}
        self.drop_checkpoints()
        before = self._etcd.parse(read_before)
        try:
            served = await barrier.served(self._client)
        except KubeError as error:
            return Outcome(pristine=False, reason=str(error))
        if is_plain(before):
            self._served = self._plain.get(served.documents[barrier.VERSION])
        wait = Barrier(self._client, self._served or served, timeout=self._limits.barrier)
        late = tuple(key for key in _WRITTEN_LATE if key not in before.values)
        back = WayBack(self._etcd, wait, before, leave=_MIRRORED + late)
        try:
            await self._go(back)
            outdated = self._requests.outdated(redefined=back.redefined, measured=is_extended(before))
            with self._step("nodes"):
                await self._renew_nodes()
            taken = await self.capture()
        except _CLOSED as error:
            return Outcome(pristine=False, reason=str(error), written=back.written, rounds=back.rounds)
        seconds = dict(self._seconds)
        return replace(taken, outdated=outdated, written=back.written, rounds=back.rounds, seconds=seconds)

    async def _renew_nodes(self) -> None:
        """Have the syncer mirror the nodes again: whatever the test did to them is gone with them."""
        nodes = [key for key in (await self._etcd.keys()).stamps if key.startswith(_MIRRORED)]
        await self._etcd.commit(put={}, delete=nodes)
        deadline = time.monotonic() + self._limits.drained
        while time.monotonic() < deadline:
            await asyncio.sleep(self._limits.quiet)
            there = (await self._etcd.keys()).stamps
            if sum(key.startswith(_MIRRORED) for key in there) == len(nodes):
                return
        raise NotPristine("its nodes were not mirrored again")

    async def checkpoint(self) -> str:
        """Remember the present state, whatever is under way in it; returns the name to `restore` it by."""
        name = secrets.token_hex(4)
        taken = await self._etcd.baseline()
        self._checkpoints[name] = (taken, await self._ask_served(taken), self._requests.mark())
        return name

    async def restore(self, name: str) -> Outcome:
        """Bring the cluster back to a checkpoint while its clients stay connected; KeyError for an unknown one.

        What they write meanwhile may be undone for `Limits.restless` seconds; then they have the last word.
        """
        taken, served, mark = self._checkpoints[name]
        back = WayBack(self._etcd, Barrier(self._client, served, timeout=self._limits.barrier), taken, revive=True)
        restless, waiting = "", list[str]()
        self._find_processes()
        with frozen(self._freeze):
            await back.sweep()
            await back.confirm()
        await back.confirm_discovery()
        deadline = time.monotonic() + self._limits.restless
        await asyncio.sleep(self._limits.quiet)
        while not restless and (await back.sweep() or (waiting := self._open.look())):
            await back.confirm()
            await back.confirm_discovery()
            if time.monotonic() > deadline:
                restless = shown(back.last) or f"what becomes of {waiting[-1]}"
            await asyncio.sleep(self._limits.quiet)
        return Outcome(
            pristine=not restless,
            outdated=self._requests.outdated(redefined=back.redefined, measured=is_extended(taken), since=mark),
            restless=restless,
            revived=tuple(sorted(key.decode(errors="replace") for key in back.revived)),
            written=back.written,
            rounds=back.rounds,
        )

    async def state(self) -> dict[str, Any]:
        """Read everything that is stored, as etcd answers."""
        return await self._etcd.read()

    async def changes(self, since: int) -> Listing:
        """Tell which keys were written after the revision `since`, and how many keys there are."""
        return await self._etcd.changed_since(since)

    def drop_checkpoints(self) -> None:
        """Forget all checkpoints: they end with the lease that took them."""
        self._checkpoints.clear()

    def freeze_others(self, pids: Sequence[int]) -> None:
        """Freeze these processes from now on, because those before them were replaced."""
        self._rest = tuple(pid for pid in self._rest if pid not in self._freeze) + tuple(pids)
        self._freeze = tuple(pids)

    async def recycle_awake(self, pids: Sequence[int]) -> Outcome:
        """Recycle once the new controller manager works, which runs as `pids` now."""
        self.freeze_others(pids)
        if self._served is None:
            return Outcome(pristine=False, reason="no baseline was taken")
        wait = Barrier(self._client, self._served, timeout=self._limits.awake)
        try:
            name = f"{canary_objects.PREFIX}{secrets.token_hex(4)}"
            await self._etcd.commit(put=canaries.of_controllers(name), delete=())
            await wait.controllers(name)
        except _CLOSED as error:
            return Outcome(pristine=False, reason=f"its new controller manager does not work: {error}")
        return await self.recycle()

    async def _ask_served(self, taken: Baseline) -> Served:
        definitions = [value for key, value in taken.values.items() if key.startswith(DEFINITIONS)]
        return await barrier.served_completely(self._client, definitions, timeout=self._limits.barrier)

    async def recycle(self) -> Outcome:
        """Bring the cluster back to its baseline, and verify that it is there. Its clients must be cut off before."""
        self._seconds = {}
        self.drop_checkpoints()
        if self._baseline is None or self._served is None:
            return Outcome(pristine=False, reason="no baseline was taken")
        wait = Barrier(self._client, self._served, timeout=self._limits.barrier)
        back = WayBack(self._etcd, wait, self._baseline)
        reason, outdated = "", False
        try:
            await self._go(back)
            outdated = self._requests.outdated(redefined=back.redefined, measured=is_extended(self._baseline))
            self._requests.begin()
        except _CLOSED as error:
            reason = str(error)
        return Outcome(
            pristine=not reason,
            reason=reason,
            outdated=outdated,
            revision=self._baseline.revision,
            keys=len(self._baseline.values),
            written=back.written,
            rounds=back.rounds,
            seconds=dict(self._seconds),
        )

    def _find_processes(self) -> None:
        if self._commands is not None:
            self._freeze, self._rest = self._commands.found()

    async def _go(self, back: WayBack) -> None:
        self._find_processes()
        with self._step("freeze"), frozen(self._freeze):
            with self._step("reset"):
                await back.sweep()
                self._heed(back)
            with self._step("barrier"):
                await back.confirm()
        with self._step("drain"):
            await self._drain(back)
        with self._step("discovery"):
            if back.reshaped and self._served is None:
                raise NotPristine("it was asked to serve other kinds before it was known which it should serve")
            await back.confirm_discovery()
        with self._step("quiet"):
            await self._quiet(back)
        with self._step("verify"):
            await back.verify()
            await self._etcd.prove_writable()

    def _heed(self, back: WayBack) -> bool:
        """Have the way back confirm what was asked since the last look; tells whether there is any of that."""
        news = self._requests.news()
        return back.heed(frozenset(news.collections), frozenset(news.namespaces))

    async def _drain(self, back: WayBack) -> None:
        deleted, put = (
            {object_of(key): revision for key, revision in written.items()} for written in (back.deleted, back.put)
        )
        left = await self._drained(deleted, put, timeout=self._limits.drained)
        if left:
            raise NotPristine(f"the host did not let go of {left}")

    async def _quiet(self, back: WayBack) -> None:
        """Sweep until nothing was written for a while by anybody, and nobody has anything left to write."""
        began = time.monotonic()
        while True:
            # Before as well: whoever gets an answer now is about to write what follows from it.
            waiting = self._open.look()
            before = rest.work_of(self._rest, states=False)
            await asyncio.sleep(self._limits.quiet if rest.can_tell() else self._limits.quiet_blindly)
            idle = rest.at_rest(before, rest.work_of(self._rest))
            waiting += self._open.look()
            noticed = self._heed(back)
            if await back.sweep() or noticed:
                await back.confirm()
                await self._drain(back)
                await back.confirm_discovery()
            elif idle and not waiting:
                return
            patience = self._limits.answered
            if time.monotonic() > began + patience and (unanswered := self._open.unanswered(seconds=patience)):
                raise NotPristine(f"its controller manager waits for an answer: {unanswered}")
            if time.monotonic() > began + self._limits.settling:
                wrote = f"; last written: {shown(back.last)}" if back.last else ""
                raise NotPristine(f"its processes did not come to rest within {self._limits.settling:g} s{wrote}")

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self._on_step(name)
        began = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = round(time.monotonic() - began, 4)

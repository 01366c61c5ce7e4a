"""One run back to a recorded state: what differs is written back, and each write is waited for.

The one rule: every look at the data store decides anew. Nothing is remembered of an earlier look but what was written
and not yet confirmed, so whoever interferes is found by the next one.
"""

from __future__ import annotations

import asyncio
import secrets
import sys

from vcluster_syncer.recycle import canaries, canary_objects
from vcluster_syncer.recycle.barrier import SHAPING, Barrier
from vcluster_syncer.recycle.etcd import Etcd
from vcluster_syncer.recycle.stored import (
    IRREVERSIBLE,
    Baseline,
    Plan,
    Stamp,
    assess,
    collections_of,
    first_part,
    shown,
    without,
)

_NAMESPACES = b"namespaces/"
_PORT_RANGE = "ranges"
_PORTS = frozenset({_PORT_RANGE, "services/specs"})
"""What decides which node ports are taken."""
_MOST_ROUNDS = 40
_MOST_CANARY_ROUNDS = 6
_NEVER_AGAIN = sys.maxsize
"""The revision at which something ended whose name nobody uses again."""


class NotPristine(Exception):
    """The way back is closed; the message tells why."""


class WayBack:
    """One run of the recycler: what was written so far, and what still has to be confirmed."""

    def __init__(
        self, etcd: Etcd, wait: Barrier, baseline: Baseline, *, revive: bool = False, leave: tuple[bytes, ...] = ()
    ) -> None:
        self._etcd = etcd
        self._wait = wait
        self._baseline = baseline
        self._revive = revive
        self._leave = leave
        self._token = secrets.token_hex(4)
        self._unconfirmed: set[str] = set()
        self._deleted_namespaces: set[bytes] = set()
        self.reshaped = False
        self.redefined = False
        """Whether definitions were put back, waited for or not."""
        self.deleted: dict[bytes, int] = {}
        """What was deleted, and at which revision it was last."""
        self.put: dict[bytes, int] = {}
        """What was put back, and at which revision it was last."""
        self.revived: set[bytes] = set()
        self.last: tuple[bytes, ...] = ()
        self.written = 0
        self.rounds = 0

    async def sweep(self) -> bool:
        """Write back whatever differs, until nothing does; tells whether anything did.

        Where clients stay connected, who never stops writing has the last word after `_MOST_ROUNDS`.
        """
        rounds = 0
        while plan := await self._plan():
            rounds += 1
            self._count_round(plan)
            self.last = plan.keys
            if plan.irreversible:
                raise NotPristine(f"what was changed can't be undone in place: {shown(plan.irreversible)}")
            if plan.reborn and not self._revive:
                # Who keeps track of objects by uid (the garbage collector, ourselves) has seen them end.
                raise NotPristine(f"objects of the baseline were deleted: {shown(plan.reborn)}")
            await self._write(first_part(plan))
            if self._revive and rounds == _MOST_ROUNDS:
                break
        return rounds > 0

    def heed(self, collections: frozenset[str], deleted_namespaces: frozenset[bytes]) -> bool:
        """Confirm these too, which the data store may not show to have changed; tells whether there are any."""
        irreversible = [each.encode() for each in sorted(collections) if f"{each}/".encode() in IRREVERSIBLE]
        if irreversible:
            raise NotPristine(f"what was there for a while can't be undone in place: {shown(irreversible)}")
        gone = {name for name in deleted_namespaces if _NAMESPACES + name not in self._baseline.stamps}
        self._unconfirmed |= collections
        self._deleted_namespaces |= gone
        self._note_shape(collections)
        return bool(collections or gone)

    def _note_shape(self, touched: frozenset[str]) -> None:
        if touched & SHAPING:
            self.reshaped = self.redefined = True

    async def confirm(self) -> None:
        """Wait until authorization, admission and allocation work by what was written."""
        for number in range(_MOST_CANARY_ROUNDS):
            touched, namespaces = frozenset(self._unconfirmed), self._deleted_namespaces
            needed, ports = canaries.needed(touched), bool(touched & _PORTS)
            if not needed and not namespaces and not ports:
                return
            self._unconfirmed, self._deleted_namespaces = set(), set()
            waits = [self._wait.namespace_gone(name.decode()) for name in namespaces]
            if needed:
                named = canaries.named(needed, f"{self._token}{self.rounds}")
                await self._etcd.commit(put=canaries.stored(named), delete=())
                waits.append(self._wait.copies(named))
            if ports:
                name = f"{canary_objects.PREFIX}{self._token}-port{number}"
                self.deleted[canary_objects.node_port_key(name)] = _NEVER_AGAIN
                waits.append(self._wait.node_ports(name))
            await asyncio.gather(*waits)
            await self.sweep()  # which takes the canaries away again
            if ports:
                self._unconfirmed.discard(_PORT_RANGE)  # changed by us, and known to the API server
        raise NotPristine(f"rights or admission keep changing: {', '.join(sorted(self._unconfirmed))}")

    async def confirm_discovery(self) -> None:
        """Wait until the kinds that are served are the baseline's."""
        if self.reshaped:
            self.reshaped = False
            await self._wait.discovery()

    async def verify(self) -> None:
        """Compare key by key; only then is the present revision the new start.

        What was not written since the last start can't have changed, so it need not be listed: whatever was written
        must be at the revision we know of, and the number of all keys must be right.
        """
        plan, revision = await self._look()
        if plan:
            raise NotPristine(f"verification found differences: {shown(sorted(plan.keys))}")
        self._baseline.revision = revision

    async def _plan(self) -> Plan:
        return (await self._look())[0]

    async def _look(self) -> tuple[Plan, int]:
        for _ in range(_MOST_ROUNDS):
            changed = without(await self._etcd.changed_since(self._baseline.revision), self._leave)
            if not self._baseline.missing(changed):
                return assess(self._baseline, changed, gone=()), changed.revision
            present = (await self._etcd.keys()).stamps
            gone = tuple(key for key in self._baseline.stamps if key not in present)
            if gone:
                return assess(self._baseline, changed, gone=gone), changed.revision
            # Something was gone and is there again: written after the first look, so it has to be looked at.
        raise NotPristine(f"keys of the baseline come and go: {shown(self.last)}")

    async def _write(self, plan: Plan) -> None:
        baseline = self._baseline
        put = {key: baseline.values[key] for key in plan.put}
        written = await self._etcd.commit(put=put, delete=plan.delete)
        for key, created in plan.put.items():
            baseline.stamps[key] = Stamp(created or written.keys[key], written.keys[key])
            self.put[key] = written.keys[key]
        self.written += len(plan.keys)
        self.deleted.update((key, written.keys[key]) for key in plan.delete)
        self.revived.update(plan.reborn)
        touched = collections_of(key for key in plan.keys if not canaries.is_canary(key))
        self._unconfirmed |= touched
        self._note_shape(touched)
        self._deleted_namespaces |= {
            key.removeprefix(_NAMESPACES) for key in plan.delete if key.startswith(_NAMESPACES)
        }
        await self._wait.caches(written.collections)

    def _count_round(self, plan: Plan) -> None:
        self.rounds += 1
        if self.rounds > _MOST_ROUNDS and not self._revive:
            raise NotPristine(f"it keeps changing after {self.rounds} rounds: {shown(plan.keys)}")

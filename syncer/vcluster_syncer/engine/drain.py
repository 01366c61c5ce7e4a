"""Waits for the host after a virtual cluster was put back to an earlier state.

The one rule: what is waited for is only what the next lease could meet. Where a tenant drains in the background, that
is little: a new epoch begins, and what the lease before has left there is in its way for as long as it takes to ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeAlias

from vcluster_syncer import ownership
from vcluster_syncer.engine.leftovers import Leftovers
from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.engine.queue import Queue
from vcluster_syncer.engine.store import revision_of
from vcluster_syncer.model import Key, Reference

Name: TypeAlias = tuple[str, str, str]
"""Plural, namespace and name of a virtual object."""
_POLL = 0.004
_NEVER = "work that never ends"
_MOST_TOLD = 5


class Drain:
    """Of one tenant; `errors` tells what is not in order with it."""

    def __init__(
        self,
        memory: Memory,
        queue: Queue[Reference],
        leftovers: Leftovers | None,
        *,
        errors: Callable[[], list[str]],
    ) -> None:
        self._memory = memory
        self._queue = queue
        self._leftovers = leftovers
        self._errors = errors

    async def drained(self, deleted: Mapping[Name, int], put: Mapping[Name, int], *, timeout: float) -> str:
        """Wait until nothing is remembered, left on the host or still to be done of objects that are gone.

        `deleted` tells what went, and the revision of its end. What is there under that name but younger was made
        afterwards, by a controller that missed it: whoever put the cluster back finds that too. `put` tells what is as
        it was, and since which revision; what the host was told of its interlude is taken back. Returns nothing, or
        what is left after `timeout` seconds.
        """
        # Objects of a definition are stored under their group, too.
        plurals = {
            name: resource
            for resource in self._memory.virtual_stores
            for name in (resource.plural, f"{resource.group}/{resource.plural}")
        }
        # Who is there must be as young as what was put back; who went is there no more, or younger than its end.
        told = [
            *((name, end, True) for name, end in deleted.items()),
            *((name, at, False) for name, at in put.items()),
        ]
        waiting = {
            (plurals[plural], Key(*key)): (revision, ended)
            for (plural, *key), revision, ended in told
            if plural in plurals
        }
        try:
            async with asyncio.timeout(timeout):
                while True:
                    waiting = {each: what for each, what in waiting.items() if self._is_behind(each, *what)}
                    if not waiting:
                        break
                    await asyncio.sleep(_POLL)
                if self._leftovers is not None:
                    self._memory.raise_epoch()
                while True:
                    self._queue.recall()
                    await self._queue.settled(self._matters)
                    if self._leftovers is not None:
                        await self._leftovers.out_of_the_way()
                    if not self._orphans():
                        return ""
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            # Of the queue, because the engine has failed; unless it is the caller who is to end.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
        left = [
            f"{resource.kind} {shown(key)}, of whose {'end' if ended else 'return'} no watch told"
            for (resource, key), (_, ended) in waiting.items()
        ]
        left += [] if self._leftovers is None else self._leftovers.shown()
        return ", ".join((left + self._orphans() + self._errors())[:_MOST_TOLD]) or _NEVER

    def _matters(self, reference: Reference) -> bool:
        resource, key = reference
        if self._leftovers is None or not self._leftovers.are_harmless(resource):
            # What is under way for something that is gone may still make it on the host, a moment later.
            return True
        store = self._memory.virtual_stores.get(resource)
        return store is not None and store.get(key) is not None

    def _is_behind(self, reference: Reference, revision: int, ended: bool) -> bool:  # noqa: FBT001 - as it is stored
        remembered = self._memory.virtual(*reference)
        return not ended if remembered is None else revision_of(remembered) < revision

    def _orphans(self) -> list[str]:
        """Host objects that we made for virtual objects that don't exist."""
        found = []
        for resource, objects in self._memory.host_objects.items():
            for owner in objects.owners:
                store = self._memory.virtual_stores.get(owner)
                for key in objects.keys(owner) if store is not None else ():
                    host = objects.of(owner, key)
                    if host is None or ownership.KIND not in ownership.annotations_of(host):
                        continue
                    if store is not None and store.get(key) is None:
                        found.append(f"{resource.kind} {host['metadata']['name']} (of {shown(key)})")
        return found


def shown(key: Key) -> str:
    """Write a key as people do."""
    return f"{key.namespace}/{key.name}" if key.namespace else key.name

"""What ended leases left on the host: asked to go at once, gone in its own time.

Nobody waits for a finalizer of somebody else. The one rule: no lease meets what another left. Names are nobody's once
an epoch has ended; what acts by itself, on pods or addresses, is asked to go before the next lease begins. Pods are
found by selectors of their own epoch only; where a baseline's pods have to be found, too, a pod that stays loses the
label by which all of the tenant's selectors find theirs, before the next lease begins.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.engine.outcomes import DONE, Failed, Later, Outcome, Stale
from vcluster_syncer.engine.queue import Queue
from vcluster_syncer.engine.refresh import Refresh
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import Conflict, KubeError, NotFound
from vcluster_syncer.model import (
    CONFIGMAPS,
    ENDPOINT_SLICES,
    NAMESPACES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    PRIORITY_CLASSES,
    RESOURCE_CLAIMS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Key,
    Object,
    Resource,
)

Place = tuple[Resource, Key]
"""Where something is on the host."""
_INERT: Final = frozenset(
    (
        CONFIGMAPS,
        ENDPOINT_SLICES,
        NAMESPACES,
        PERSISTENT_VOLUME_CLAIMS,
        PRIORITY_CLASSES,
        RESOURCE_CLAIMS,
        SECRETS,
        SERVICE_ACCOUNTS,
    )
)
"""Nothing but names leads to these."""
_POLL = 0.004
_CONTENTS = 0.5
"""Seconds between looks at what is left in a host namespace that is to go."""


class Leftovers:
    """Removes what `memory` says is left over, through `host`; `learn` hears of every answer."""

    def __init__(
        self,
        memory: Memory,
        host: Client,
        learn: Refresh,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        timing: Timing,
        jitter: random.Random,
    ) -> None:
        self._memory = memory
        self._host = host
        self._learn = learn
        self._queue: Queue[Place] = Queue(
            self._work, spawn=spawn, timing=timing, jitter=jitter, can_wait=lambda each: each[0] in _INERT
        )

    def add(self, place: Place) -> None:
        """Have something removed."""
        self._queue.add(place)

    def add_all(self) -> None:
        """Have another look at everything there is."""
        for place in self._places():
            self._queue.add(place)

    def start(self) -> None:
        """Begin to work: everything was read."""
        self.add_all()
        self._queue.start()

    def close(self) -> None:
        """Forget what is to be done."""
        self._queue.close()

    def __len__(self) -> int:
        return sum(len(objects.left_over) for objects in self._memory.host_objects.values())

    async def out_of_the_way(self) -> None:
        """Wait until nothing of it can be met by a new lease."""
        if self._in_the_way():
            self._queue.recall()
        while self._in_the_way():  # noqa: ASYNC110 - what changes it is many answers
            await asyncio.sleep(_POLL)

    def are_harmless(self, resource: Resource) -> bool:
        """Tell whether no lease can meet what another left of a resource, whether or not it was asked to go."""
        return resource in _INERT or (resource == PODS and self._memory.tenant.selects_by_epoch)

    def shown(self) -> list[str]:
        """Tell what is in the way, and what went wrong with it."""
        errors = self._queue.errors
        return [
            f"{resource.kind} {place.name}" + (f": {errors[resource, place]}" if (resource, place) in errors else "")
            for resource, place in self._in_the_way()
        ]

    def _places(self) -> Iterator[Place]:
        for resource, objects in self._memory.host_objects.items():
            for place in list(objects.left_over):
                yield resource, place

    def _in_the_way(self) -> list[Place]:
        return [each for each in self._places() if self._can_be_met(each[0], self._find(*each))]

    def _can_be_met(self, resource: Resource, found: Object | None) -> bool:
        if found is None or self.are_harmless(resource):
            return False
        if resource == SERVICES:
            # Its address is given out anew.
            return True
        if resource == PODS:
            return ownership.NAMESPACE_LABEL in ownership.labels_of(found)
        return not decide.is_terminating(found)

    def _find(self, resource: Resource, place: Key) -> Object | None:
        return self._memory.host_objects[resource].left_over.get(place)

    async def _work(self, each: Place) -> Outcome:
        resource, place = each
        found = self._find(resource, place)
        if found is None:
            return DONE
        if resource == NAMESPACES and any(there.namespace == place.name for _, there in self._places()):
            return Later(_CONTENTS, "what is in it goes first, without grace")
        try:
            if not _was_asked(resource, found):
                await self._ask(resource, place, found)
            stays = self._find(resource, place)
            if resource == PODS and stays is not None and ownership.NAMESPACE_LABEL in ownership.labels_of(stays):
                await self._hide(place, stays)
        except NotFound:
            self._learn.host_gone(resource, place.name, found["metadata"]["uid"])
        except Conflict as error:
            return Stale(str(error))
        except KubeError as error:
            return Failed(str(error), error.retry_after)
        return DONE

    async def _ask(self, resource: Resource, place: Key, found: Object) -> None:
        uid, grace = found["metadata"]["uid"], 0 if resource == PODS else None
        request = requests.delete(resource, namespace=place.namespace, name=place.name, uid=uid, grace_seconds=grace)
        self._learn.host_deletion(resource, place.name, uid, await self._host.send(request))

    async def _hide(self, place: Key, pod: Object) -> None:
        request = requests.merge_patch(
            PODS,
            namespace=place.namespace,
            name=place.name,
            uid=pod["metadata"]["uid"],
            patch={"metadata": {"labels": {ownership.NAMESPACE_LABEL: None}}},
        )
        self._learn.host(PODS, await self._host.send(request))


def _was_asked(resource: Resource, found: Object) -> bool:
    is_going = decide.is_terminating(found)
    return is_going and (resource != PODS or not found["metadata"].get("deletionGracePeriodSeconds"))

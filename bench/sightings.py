"""When what was first seen on one side: a watch that notes times.

The one rule: both sides are watched in the same way by the same process, so that what the watching itself takes is in
both, and their difference is the syncer's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Set
from typing import Any

from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.engine.watch import Watch
from vcluster_syncer.kube.client import Client
from vcluster_syncer.model import Resource

from bench.model import NotMeasured

_NAME = "vcluster-syncer/name"
_PATIENCE_SECONDS = 300.0


class Sightings:
    """Objects of one collection by the name that the virtual cluster knows them by; satisfies the syncer's `Sink`."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.there: dict[str, dict[str, Any]] = {}
        self.first: dict[str, float] = {}
        self.ready: dict[str, float] = {}
        self.told: dict[tuple[str, str], float] = {}
        """When a pod was first seen with what its status says in `message`."""
        self._changed = asyncio.Event()

    def replace(self, objects: Iterable[dict[str, Any]], revision: int, *, asked_at: float | None = None) -> None:
        """Take over a complete list."""
        del revision, asked_at
        self.there.clear()
        for obj in objects:
            self.upsert(obj)

    def upsert(self, obj: dict[str, Any]) -> None:
        """Take over an object."""
        now, name = time.monotonic(), _name(obj)
        self.there[name] = obj
        self.first.setdefault(name, now)
        if is_ready(obj):
            self.ready.setdefault(name, now)
        if message := (obj.get("status") or {}).get("message"):
            self.told.setdefault((name, message), now)
        self._changed.set()

    def remove(self, obj: dict[str, Any]) -> None:
        """Drop an object."""
        self.there.pop(_name(obj), None)
        self._changed.set()

    def vanish(self) -> None:
        """Drop everything: the server has no such collection."""
        self.there.clear()
        self._changed.set()

    def forget(self) -> None:
        """Forget when what was seen."""
        self.first.clear()
        self.ready.clear()
        self.told.clear()

    def named(self, prefixes: tuple[str, ...]) -> list[str]:
        """The names there are that begin so."""
        return [name for name in self.there if name.startswith(prefixes)]

    async def until_ready(self, count: int) -> float:
        """Wait until so many were ready; the time when they were."""
        return await self._until(lambda: len(self.ready) >= count, what=f"{count} to be ready")

    async def until_told(self, name: str, message: str) -> float:
        """Wait until the pod `name` says `message`; the time when it did."""
        return await self._until(lambda: (name, message) in self.told, what=f"{name} to say {message!r}")

    async def until_there(self, wanted: Set[str]) -> float:
        """Wait until all of them are there; the time when they were."""
        return await self._until(lambda: wanted <= self.there.keys(), what=f"{len(wanted)} to be there")

    async def until_gone(self, prefixes: tuple[str, ...]) -> float:
        """Wait until nothing is there whose name begins so; the time when it was."""
        return await self._until(lambda: not self.named(prefixes), what="all to be gone")

    async def _until(self, wanted: Callable[[], bool], *, what: str) -> float:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not wanted():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            seen = f"{len(self.there)} there, {len(self.ready)} were ready"
            raise NotMeasured(f"{self.what}: waited {_PATIENCE_SECONDS:.0f} s for {what}; last seen: {seen}") from error
        return time.monotonic()


@contextlib.asynccontextmanager
async def watched(client: Client, resource: Resource, namespace: str, *, what: str) -> AsyncIterator[Sightings]:
    """Watch a collection for as long as the `with` statement lasts."""
    sightings = Sightings(what)
    watch = Watch(client, resource, sightings, namespace=namespace, timing=Timing(), jitter=random.Random(0))
    task = asyncio.create_task(watch.run())
    try:
        await asyncio.wait_for(watch.synced.wait(), _PATIENCE_SECONDS)
        yield sightings
    finally:
        task.cancel()
        await asyncio.wait([task])


def lags(here: Mapping[Any, float], there: Mapping[Any, float]) -> list[float]:
    """By how many milliseconds `there` saw what `here` had seen before, for all that both saw."""
    return [1000 * (there[name] - here[name]) for name in here if name in there]


def is_ready(obj: dict[str, Any]) -> bool:
    """Whether it is a pod that is ready."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _name(obj: dict[str, Any]) -> str:
    metadata = obj["metadata"]
    return str((metadata.get("annotations") or {}).get(_NAME, metadata["name"]))

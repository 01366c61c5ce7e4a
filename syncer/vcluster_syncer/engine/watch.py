"""Keeps a memory in step with one collection of one server: list, then watch, for ever.

The one rule: no failure is final and none is loud. A cut connection is resumed where it ended, a version that is too
old leads to a new list, a server that is away is asked again with backoff. The memory keeps what it has meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any

from vcluster_syncer.engine.store import Sink
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import Gone, KubeError, NotFound, ServerFailed
from vcluster_syncer.kube.responses import WatchEvent, parse_event
from vcluster_syncer.model import Resource

_log = logging.getLogger(__name__)


async def list_all(client: Client, resource: Resource, *, namespace: str = "") -> tuple[list[dict[str, Any]], int]:
    """Read a whole collection in pages: its objects and the version they were read at."""
    objects: list[dict[str, Any]] = []
    token, limit = "", requests.PAGE_SIZE
    while True:
        try:
            page = await client.send_list(
                requests.list_page(resource, namespace=namespace, continue_token=token, limit=limit)
            )
        except Gone:
            if not token:
                raise
            # The list took longer than the server keeps its history: once more, in one piece.
            objects, token, limit = [], "", 0
            continue
        objects += page.items
        token = page.continue_token
        if not token:
            return objects, _number(page.revision)


class Watch:
    """One collection, from `client` into `sink`. `synced` is set once the first list is in.

    That an `optional` one does not exist is an answer, too: it is waited for, without noise.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        sink: Sink,
        *,
        namespace: str = "",
        timing: Timing,
        jitter: random.Random,
        clock: Callable[[], float] | None = None,
        restarted: Callable[[Resource], None] | None = None,
        optional: bool = False,
    ) -> None:
        self.resource = resource
        self.synced = asyncio.Event()
        self.restarts = 0
        self.last_error = ""
        self._client = client
        self._sink = sink
        self._namespace = namespace
        self._timing = timing
        self._jitter = jitter
        self._clock = clock or asyncio.get_running_loop().time
        self._restarted = restarted
        self._optional = optional
        self._revision: int | None = None
        self._failures = 0
        self._began: float | None = None

    @property
    def ailing(self) -> bool:
        """Whether the last attempts failed, so that memory may be behind."""
        return self._failures > 1 and not self._is_steady()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                if self._revision is None:
                    await self._list()
                await self._watch()
            except Gone as error:
                _log.info("%s: listing again: %s", self.resource.plural, error)
                self._revision = None
                await self._rest(error)
            except KubeError as error:
                if self._optional and isinstance(error, NotFound):
                    await self._without()
                else:
                    await self._rest(error)

    async def patrol(self) -> None:
        """Compare memory with the server, whatever the watch says; differences reach the sink as changes."""
        asked_at = time.monotonic()
        try:
            objects, revision = await list_all(self._client, self.resource, namespace=self._namespace)
        except NotFound:
            if not self._optional:
                raise
            self._sink.vanish()
        else:
            self._sink.replace(objects, revision, asked_at=asked_at)

    async def _without(self) -> None:
        """Take note that the server has no such collection, and ask again in a while."""
        self._revision = None
        self._failures = 0
        self._sink.vanish()
        self.synced.set()
        await asyncio.sleep(self._timing.absent * self._jitter.uniform(0.8, 1.2))

    async def _list(self) -> None:
        asked_at = time.monotonic()
        objects, revision = await list_all(self._client, self.resource, namespace=self._namespace)
        self._sink.replace(objects, revision, asked_at=asked_at)
        self._revision = revision
        self.synced.set()

    async def _watch(self) -> None:
        """Follow the collection until the server ends the watch as agreed; raise for every other end."""
        seconds = round(self._timing.watch * self._jitter.uniform(1.0, 1.5))
        request = requests.watch(
            self.resource, namespace=self._namespace, revision=str(self._revision), seconds=seconds
        )
        began = self._clock()
        name = str(request)
        try:
            async with self._client.stream(request, silence=self._timing.silence) as lines:
                self._began = began
                async for line in lines:
                    self._take(parse_event(line, request=name))
        finally:
            if self._is_steady():
                self._failures = 0
            self._began = None
        if self._clock() - began < min(self._timing.steady, seconds):
            # An end at once, again and again, must not become a loop without a pause.
            raise ServerFailed("the watch ended early", request=name)

    def _is_steady(self) -> bool:
        return self._began is not None and self._clock() - self._began >= self._timing.steady

    def _take(self, event: WatchEvent) -> None:
        match event.type:
            case "ADDED" | "MODIFIED":
                self._sink.upsert(event.object)
            case "DELETED":
                self._sink.remove(event.object)
            case "BOOKMARK":
                pass
            case _:
                raise ServerFailed(f"unknown watch event {event.type!r}")
        self._revision = _number(event.object["metadata"]["resourceVersion"])

    async def _rest(self, error: KubeError) -> None:
        self._failures += 1
        self.restarts += 1
        self.last_error = str(error)
        if self._restarted is not None:
            self._restarted(self.resource)
        if self._failures == 1 and error.retry_after is None:
            # The usual end of a connection; resuming at once loses nothing.
            _log.debug("%s: watch restarts: %s", self.resource.plural, error)
            return
        seconds = self._timing.reconnect.after(self._failures - 1 or 1, jitter=self._jitter)
        if error.retry_after is not None:
            seconds = max(error.retry_after, seconds)
        _log.info("%s: watch rests for %.1f s: %s", self.resource.plural, seconds, error)
        await asyncio.sleep(seconds)


def _number(revision: object) -> int:
    try:
        return int(str(revision))
    except ValueError as error:
        raise ServerFailed(f"resourceVersion {revision!r} is not a number") from error

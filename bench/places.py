"""The two places that objects are put into: a virtual cluster, and its host.

The one rule: whoever creates waits for the answer, whoever deletes for the end.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import NotFound
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import PODS, Resource

from bench import names
from bench.loads import Object, Side
from bench.sightings import Sightings

PREFIXES = ("pod-", "bench-", "service-", "config-", "user-")
"""Of what the bench makes, and not whoever runs a cluster."""
_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One side with its client."""

    side: Side
    client: Client


async def make_namespace(place: Place) -> None:
    """Make the namespace of a side, ready for pods."""
    body = json.dumps({"metadata": {"name": place.side.namespace}}).encode()
    await place.client.send(Request(method="POST", path="/api/v1/namespaces", body=body))
    account = f"/api/v1/namespaces/{place.side.namespace}/serviceaccounts/default"
    if place.side.word == names.VIRTUAL:
        await until_there(place, account)


async def until_there(place: Place, path: str) -> None:
    """Wait until a path is there."""
    async with asyncio.timeout(_SECONDS):
        while True:
            try:
                await place.client.send(Request(method="GET", path=path))
            except NotFound:
                await asyncio.sleep(0.02)
            else:
                return


async def create(place: Place, resource: Resource, objects: Sequence[Object], *, at_once: int = 1) -> None:
    """Create objects over so many connections, on each one after the other."""
    left = iter(objects)

    async def one_after_the_other() -> None:
        for obj in left:
            await place.client.send(requests.create(resource, obj, namespace=place.side.namespace))

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))


async def clear(place: Place, resource: Resource, seen: Sequence[Sightings]) -> None:
    """Delete a whole collection, and wait until all who watch it have seen its end."""
    query = "gracePeriodSeconds=0" if resource == PODS else "propagationPolicy=Background"
    path = f"{resource.path(place.side.namespace)}?{query}"
    await place.client.send(Request(method="DELETE", path=path))
    for each in seen:
        await each.until_gone(PREFIXES)

"""The run's sign of life on its host: a Lease that is renewed for as long as the run service lives.

The one rule: nobody here cleans up after a run that was killed. Virtual clusters see by themselves that the Lease is
not renewed any more, and delete it and themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.errors import ApiError
from pytest_vcluster.hosts.in_cluster.host import Host
from pytest_vcluster.hosts.in_cluster.objects import RUN_LABEL

SECONDS = 45
"""A run that has not renewed its Lease for so long is dead."""
EVERY_SECONDS = 10.0
"""It is renewed so often."""
_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def beating(host: Host, run: str) -> AsyncIterator[str]:
    """Renew a Lease while the context lasts; yields its name. It is gone afterwards."""
    name = name_of(run)
    collection = f"/apis/coordination.k8s.io/v1/namespaces/{host.namespace}/leases"
    client = host.server.connect(timeout=EVERY_SECONDS)
    await asyncio.to_thread(client.call, "POST", collection, _lease(name, run))
    renewing = asyncio.create_task(_renew(client, collection, _lease(name, run)))
    try:
        yield name
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        with contextlib.suppress(OSError, ApiError):
            await asyncio.to_thread(client.call, "DELETE", f"{collection}/{name}")
        client.close()


def name_of(run: str) -> str:
    """The name of a run's Lease."""
    return f"pytest-vcluster-{run}"


async def _renew(client: Client, collection: str, lease: dict[str, Any]) -> None:
    path = f"{collection}/{lease['metadata']['name']}"
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await asyncio.to_thread(_beat, client, path, lease, collection)
        except (OSError, ApiError) as error:
            _log.warning("the run's lease on the host could not be renewed: %s", error)


def _beat(client: Client, path: str, lease: dict[str, Any], collection: str) -> None:
    now = {"spec": {"renewTime": _now()}}
    try:
        client.call("PATCH", path, now, content_type="application/merge-patch+json")
    except ApiError as error:
        if error.status != 404:
            raise
        # After a silence, such as a machine's sleep, clusters have ended and taken it with them. Those to come need it.
        client.call("POST", collection, {**lease, "spec": {**lease["spec"], **now["spec"]}})


def _lease(name: str, run: str) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "labels": {RUN_LABEL: run}},
        "spec": {"holderIdentity": run, "leaseDurationSeconds": SECONDS, "renewTime": _now()},
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

"""Waiting until an API server is ready.

The one rule: nobody waits for one that has ended, and whoever waited in vain is told what it answered last.
"""

from __future__ import annotations

import asyncio
import time

from pytest_vcluster.controlplane.component import RunningComponent
from pytest_vcluster.controlplane.last_words import ended_early, tail
from pytest_vcluster.controlplane.plane import ControlPlane
from pytest_vcluster.errors import Timeout

_POLL_SECONDS = 0.01
_SILENT_POLL_SECONDS = 0.025
"""While nothing listens: what is asked then takes from the processors that the start is waiting for."""


async def until_ready(plane: ControlPlane, apiserver: RunningComponent) -> None:
    """Wait until the `apiserver` of `plane` is ready; ProvisionError if it ends, Timeout."""
    settings = plane.settings
    began = time.monotonic()
    client = plane.api()
    last_seen = "nothing listens"
    try:
        while time.monotonic() - began < settings.timeout:
            if apiserver.exited.done():
                raise ended_early(apiserver)
            try:
                status, text = await asyncio.to_thread(client.status, settings.ready_path)
            except OSError as error:
                last_seen = f"{type(error).__name__}: {error}"
                pause = _SILENT_POLL_SECONDS
            else:
                pause = _POLL_SECONDS
                if status == 200:
                    return
                last_seen = f"/readyz answered {status}: {_failing_checks(text)}"
            await asyncio.sleep(pause)
    finally:
        client.close()
    raise Timeout(
        f"kube-apiserver {settings.version} of {settings.name} becoming ready",
        elapsed=settings.timeout,
        last_seen=f"{last_seen}\nLast lines of {apiserver.log}:\n{tail(apiserver.log)}",
    )


def _failing_checks(text: str) -> str:
    return ", ".join(line for line in text.splitlines() if line.startswith("[-]")) or text[:200]

"""The process of a run service.

The one rule: nothing here but setting it up.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
from collections.abc import Mapping
from typing import Any

from pytest_vcluster.service.ahead import Begun
from pytest_vcluster.service.backplane import opener
from pytest_vcluster.service.lock import RunLock
from pytest_vcluster.service.runs import Run
from pytest_vcluster.service.server import Service
from pytest_vcluster.settings import Settings

_START_SECONDS = 3.0


def main(document: Mapping[str, Any], *, lock: int, begun: Begun | None) -> None:
    """Serve the run that `document` describes until it is over.

    `lock` is the number of the open file that the run's lock is on, `begun` is what was started already.
    """
    run = Run.from_json(document["run"])
    held = RunLock(run.lock, lock)
    os.set_inheritable(lock, False)  # noqa: FBT003 - but for the reaper, no child may hold it
    os.chdir("/")  # whatever the user was in can be removed
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS says "infinity" and then refuses it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_serve(run, Settings.from_json(document["settings"]), held, begun))


async def _serve(run: Run, settings: Settings, lock: RunLock, begun: Begun | None) -> None:
    asyncio.get_running_loop().call_later(_START_SECONDS, _collect_garbage)
    try:
        await Service(run, settings, lock, opener(run.backplane), begun).run()
    except BaseException:
        logging.getLogger(__name__).exception("the run service failed")
        os._exit(1)
    # Not the interpreter's way: that waits for threads, and one may be waiting for a server that is gone.
    os._exit(0)


def _collect_garbage() -> None:
    gc.freeze()  # what is there by now stays
    gc.enable()

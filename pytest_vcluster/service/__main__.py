"""`python -m pytest_vcluster.service CONFIG.json LOCK`: one run service, as `election` starts it.

LOCK is the number of the open file that the run's lock is on. The one rule: nothing here but setting up the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import resource
import sys
from pathlib import Path

from pytest_vcluster.service.backplane import opener
from pytest_vcluster.service.lock import RunLock
from pytest_vcluster.service.runs import Run
from pytest_vcluster.service.server import Service
from pytest_vcluster.settings import Settings


def main() -> None:
    """Serve the run of the configuration file until it is over."""
    document = json.loads(Path(sys.argv[1]).read_text())
    run = Run.from_json(document["run"])
    lock = RunLock(run.lock, int(sys.argv[2]))
    os.set_inheritable(lock.descriptor, False)  # noqa: FBT003 - but for the reaper, no child may hold it
    os.chdir("/")  # whatever the user was in can be removed
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS says "infinity" and then refuses it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_serve(run, Settings.from_json(document["settings"]), lock))


async def _serve(run: Run, settings: Settings, lock: RunLock) -> None:
    try:
        await Service(run, settings, lock, opener(run.backplane)).run()
    except BaseException:
        logging.getLogger(__name__).exception("the run service failed")
        os._exit(1)
    # Not the interpreter's way: that waits for threads, and one may be waiting for a server that is gone.
    os._exit(0)


if __name__ == "__main__":
    main()

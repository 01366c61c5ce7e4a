"""`python -m pytest_vcluster.service CONFIG`: the run service's process, started by `election`.

The one rule: it belongs to no terminal. It makes itself a session before anything else, so that Ctrl-C reaches pytest
alone, and pytest's fixtures can still give their clusters back.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import cast

from pytest_vcluster.service import runs
from pytest_vcluster.service.backplane import OpenBackplane
from pytest_vcluster.service.protocol import Run
from pytest_vcluster.service.server import Service
from pytest_vcluster.settings import Settings

_BACKPLANE = "pytest_vcluster.hosts.backplane:opened"


def main() -> None:
    """Run the service that the configuration file names."""
    os.setsid()
    config = Path(sys.argv[1])
    document = json.loads(config.read_text())
    alive = runs.stay_alive(config.parent)
    try:
        asyncio.run(_serve(document, config.parent))
    finally:
        os.close(alive)


async def _serve(document: dict[str, object], folder: Path) -> None:
    service = Service(
        Run.from_json(cast("dict[str, object]", document["run"])),
        Settings.from_json(cast("dict[str, object]", document["settings"])),
        folder,
        open_backplane=_named(str(document.get("backplane", _BACKPLANE))),
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, service.ending.set)
    await service.serve()


def _named(place: str) -> OpenBackplane:
    module, _, name = place.partition(":")
    return cast("OpenBackplane", getattr(importlib.import_module(module), name))


if __name__ == "__main__":
    main()

"""Recycles one cluster again and again, in a process of its own: `python -m bench.recycling VERSION DIRECTORY REPEATS`.

Straight through the backplane, without run service, pool and pytest. A line of JSON for every recycling goes to the
file `recycled.jsonl` in the directory. The one rule: what dirties the cluster is over and taken in before the clock
starts, and the clock covers the order to the syncer until its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cases import CASES, Case
from bench.dirt import Dirt
from pytest_vcluster.hosts import opening, syncer
from pytest_vcluster.hosts.virtual import VirtualCluster
from pytest_vcluster.service.processes import Processes
from pytest_vcluster.settings import DEFAULT_NODES, Settings

RECORD = "recycled.jsonl"
_RECYCLE_SECONDS = 60.0


async def measure(version: str, directory: Path, repeats: int) -> None:
    """Measure all cases, those with the same baseline on the same cluster."""
    settings = Settings(versions=(version,), offline=True)
    run = directory / "run"
    run.mkdir()
    processes = Processes(run / "logs", register=lambda _: None)
    async with opening.opened(
        settings, run, starter=processes, register=lambda _: None, progress=lambda _: None, will=lambda _: None
    ) as shared:
        await shared.host_ready()
        for _, cases in itertools.groupby(CASES, key=lambda case: case.baseline):
            async with shared.virtual_cluster(version=version, nodes=DEFAULT_NODES) as cluster:
                await _cases(cluster, list(cases), run=run, record=directory / RECORD, repeats=repeats)


async def _cases(cluster: VirtualCluster, cases: list[Case], *, run: Path, record: Path, repeats: int) -> None:
    with contextlib.closing(await asyncio.to_thread(Dirt, cluster.plane)) as dirt:
        wanted = cases[0].baseline
        await asyncio.to_thread(dirt.config_maps, wanted.config_maps, mark="z")
        await asyncio.to_thread(dirt.definitions, wanted.definitions, kind="Given")
        await cluster.take_baseline()
        # Connections, caches and code paths are cold the first time.
        warm_up = Case(text="", config_maps=10)
        measured = [(case, number) for case in cases for number in range(repeats)]
        for case, _ in [(warm_up, 0), *measured]:
            await asyncio.to_thread(dirt.make, case)
            began = time.monotonic()
            outcome = await asyncio.to_thread(
                syncer.recycled, syncer.connector(run), cluster.name, timeout=_RECYCLE_SECONDS
            )
            seconds = time.monotonic() - began
            if case is not warm_up:
                _note(record, case, outcome, seconds=seconds)
            if not outcome["pristine"]:
                return  # what is left can't be told from what the next case brings


def _note(record: Path, case: Case, outcome: Mapping[str, Any], *, seconds: float) -> None:
    note = {
        "case": case.text,
        "pristine": outcome["pristine"],
        "reason": outcome["reason"],
        "seconds": seconds,
        "steps": outcome["seconds"],
        "rounds": outcome["rounds"],
        "written": outcome["written"],
    }
    with record.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(note) + "\n")


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))

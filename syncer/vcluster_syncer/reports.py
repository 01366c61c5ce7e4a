"""What the syncer tells of itself: its metrics as text, and whether it is well.

The one rule: pure functions of what the engine describes; reading the process's own figures is the only I/O, and where
a system does not tell them they are left out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vcluster_syncer.engine.metrics import PREFIX, Metrics, lines

_STATES = ("ready", "active", "delayed")
_SIDES = ("virtual", "host")


def metrics_text(metrics: Metrics, tenants: Sequence[Mapping[str, Any]]) -> str:
    """Spell all metrics for Prometheus; `tenants` as `Tenants.describe` tells them."""
    return "\n".join([*metrics.text(), *_gauges(tenants), *_process(), ""])


def _gauges(tenants: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from lines(
        f"{PREFIX}tenants",
        "gauge",
        "Virtual clusters that are carried.",
        [({"ready": str(ready).lower()}, sum(one["ready"] is ready for one in tenants)) for ready in (True, False)],
    )
    yield from lines(
        f"{PREFIX}queue_keys",
        "gauge",
        "Keys to be worked on: ready, active, or delayed until something changes or their time has come.",
        [
            ({"tenant": one["name"], "state": state}, sum(kind[state] for kind in one["kinds"].values()))
            for one in tenants
            for state in _STATES
        ],
    )
    yield from lines(
        f"{PREFIX}tenant_errors",
        "gauge",
        "Keys and watches that are not in order.",
        [({"tenant": one["name"]}, len(one["errors"])) for one in tenants],
    )
    counts: dict[tuple[str, str], int] = {}
    for one in tenants:
        for kind, told in one["kinds"].items():
            for side in _SIDES:
                counts[kind, side] = counts.get((kind, side), 0) + told[side]
    yield from lines(
        f"{PREFIX}objects",
        "gauge",
        "Objects in memory.",
        [({"kind": kind, "side": side}, count) for (kind, side), count in counts.items()],
    )


def _process() -> Iterator[str]:
    """Yield the figures that every Prometheus client library tells of its process, under their usual names."""
    yield from lines("process_cpu_seconds_total", "counter", "CPU time, user and system.", [({}, time.process_time())])
    try:
        resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        # Only Linux tells it there.
        return
    yield from lines("process_resident_memory_bytes", "gauge", "Resident memory.", [({}, resident)])

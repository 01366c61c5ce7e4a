"""How many clusters a machine carries: arithmetic on cores and memory, and the reading of both.

The one rule: the machine's limits win over what was asked for, and whoever gets less is told so.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Measured with four clusters side by side: private memory of an API server and its controller manager, and some room.
CLUSTER_BYTES = 250 << 20
# etcd, the host's processes, the syncer and the service.
BASE_BYTES = 600 << 20
_SPARE = 0.15
_CGROUP_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


@dataclass(frozen=True, slots=True)
class PoolSize:
    """How many clusters may exist at once, and what to tell the user about it (empty: nothing)."""

    clusters: int
    note: str = ""


def pool_size(*, asked: int | None, cores: int, free_bytes: int) -> PoolSize:
    """Decide the size of the pool from what was `asked` (None: nothing), never below one.

    Without a wish it is two clusters a core and two more, so that some are prepared while others are in use.
    """
    affordable = max(1, int((free_bytes * (1 - _SPARE) - BASE_BYTES) // CLUSTER_BYTES))
    wanted = asked if asked is not None else 2 * cores + 2
    if wanted <= affordable:
        return PoolSize(wanted)
    if asked is None:
        return PoolSize(affordable)
    return PoolSize(
        affordable,
        f"pool of {affordable} instead of {asked}: {free_bytes >> 20} MB of memory are free, "
        f"a cluster takes {CLUSTER_BYTES >> 20} MB and what they share {BASE_BYTES >> 20} MB",
    )


def starts_at_once(cores: int) -> int:
    """How many control planes may start at the same time: starting is CPU, and the tests want some too."""
    return max(1, cores - 1)


def usable_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_bytes(*, meminfo: Path = Path("/proc/meminfo"), limits: Iterable[str] = _CGROUP_LIMITS) -> int:
    """Memory that new processes can have: what the system has available, and no more than the container's limit."""
    available = _available(meminfo)
    for limit in limits:
        try:
            text = Path(limit).read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            available = min(available, int(text))
    return available


def _available(meminfo: Path) -> int:
    try:
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    # macOS: what is free is not told in one number; half of what is built in is a cautious stand-in.
    done = subprocess.run(["sysctl", "-n", "hw.memsize"], capture_output=True, text=True, check=False)
    return int(done.stdout) // 2 if done.stdout.strip().isdigit() else 4 << 30

"""The two sides of a run under pytest-xdist: what the controller hands to its workers, and how many there should be.

The one rule: plain data only crosses, and nothing is started for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pytest

INPUT = "vcluster"
"""Key of what a controller hands to its workers."""

OUTPUT = "vcluster_wrong"
"""Key under which a worker hands back why the run can't start."""

SHARED_BYTES = 700 * 2**20
"""Memory of what all workers share: etcd, the host's processes, the syncer."""

WORKER_BYTES = 400 * 2**20
"""Memory of a worker, its cluster (190 MB of API server, 45 MB of controllers) and the next one being prepared."""


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is an xdist worker."""
    return hasattr(config, "workerinput")


def is_distributed(config: pytest.Config) -> bool:
    """Whether this process is an xdist controller, which runs no tests itself."""
    return not is_worker(config) and bool(config.getoption("tx", default=None))


def given_to_worker(config: pytest.Config) -> Mapping[str, Any]:
    """What the controller handed to this worker."""
    return cast("Mapping[str, Any]", getattr(config, "workerinput", {}).get(INPUT, {}))


def affordable(workers: int, *, free_bytes: int | None) -> int:
    """As many of `workers` as have memory for a cluster each, but at least one."""
    if free_bytes is None:
        return workers
    return max(1, min(workers, (free_bytes - SHARED_BYTES) // WORKER_BYTES))


def free_memory_bytes(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Memory that new processes can have without swapping; None where the system doesn't tell."""
    if meminfo.is_file():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        # macOS doesn't tell what is available; half of what there is leaves room for the user's other programs.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError):
        return None

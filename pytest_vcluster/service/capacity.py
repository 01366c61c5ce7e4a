"""How many clusters, and how many xdist workers, this machine can take.

The one rule: deciding is pure (`pool_limits`, `auto_workers`); only `memory` looks at the machine. Limits of a
container (cgroup) count as much as what the machine has.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.service.seats import Limits

CLUSTER_BYTES = 250 * 2**20
"""Memory of one virtual cluster: kube-apiserver, kube-controller-manager, its share of etcd and syncer."""

BASE_BYTES = 600 * 2**20
"""Memory of what all clusters share: etcd, the host's control plane, the syncer, the service."""

WORKER_BYTES = 150 * 2**20
"""Memory of an xdist worker with the Kubernetes client loaded."""

SPARED_PART = 0.15
"""Part of the machine's memory that stays free for everything else."""

MOST = 200
"""The embedded host has Service address ranges for 251 clusters, and kept ones need some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes of memory: in all, and available to new processes without swapping."""

    total: int
    available: int


def affordable(memory: Memory) -> int:
    """How many bytes clusters may take."""
    return max(0, int(memory.available - SPARED_PART * memory.total))


def pool_limits(*, cores: int, memory: Memory | None, asked: int | None) -> tuple[Limits, list[str]]:
    """The pool's limits, and what a person should know about them (it is smaller than they asked for).

    Without `asked`, memory alone limits how many tests may have a cluster at the same time, and the cores how many
    clusters wait for a test. At least one cluster is always allowed.
    """
    most = MOST if memory is None else min(MOST, (affordable(memory) - BASE_BYTES) // CLUSTER_BYTES)
    size = max(1, most if asked is None else min(asked, most))
    notes = []
    if asked is not None and size < asked and memory is not None:
        notes.append(
            f"pool reduced from {asked} to {size}: {_spell(memory.available)} of {_spell(memory.total)} memory are "
            f"free, of which {SPARED_PART:.0%} of the total stay so; a cluster takes {_spell(CLUSTER_BYTES)}, "
            f"what all share {_spell(BASE_BYTES)}"
        )
    elif memory is not None and most < 1:
        notes.append(
            f"little memory: {_spell(memory.available)} are free, and even one cluster takes "
            f"{_spell(BASE_BYTES + CLUSTER_BYTES)}; the machine may swap"
        )
    spares = min(size, cores if asked is None else asked)
    return Limits(size=size, spares=max(1, spares), starts=max(1, cores - 1)), notes


def auto_workers(*, cores: int, memory: Memory | None) -> int:
    """How many xdist workers `-n auto` should be: one a core, each with a cluster and one being prepared."""
    if memory is None:
        return max(1, cores)
    return max(1, min(cores, (affordable(memory) - BASE_BYTES) // (WORKER_BYTES + CLUSTER_BYTES)))


def memory(*, root: Path = Path("/")) -> Memory | None:
    """What this process may use; None where the system doesn't tell. `root` is where /proc and /sys are."""
    if sys.platform == "darwin":
        return _of_macos()
    try:
        meminfo = parse_meminfo((root / "proc/meminfo").read_text())
        found = Memory(total=meminfo["MemTotal"], available=meminfo["MemAvailable"])
    except (OSError, KeyError, ValueError):
        return None
    return smallest(found, cgroup_limits(root))


def cores() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def smallest(found: Memory, limits: Iterable[tuple[int, int]]) -> Memory:
    """What is left of `found` under `limits`, each a limit and what is used of it."""
    total, available = found.total, found.available
    for limit, used in limits:
        total = min(total, limit)
        available = min(available, max(0, limit - used))
    return Memory(total=total, available=available)


def parse_meminfo(text: str) -> Mapping[str, int]:
    """Bytes by name, of /proc/meminfo."""
    rows = (line.split() for line in text.splitlines())
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) == 3 and row[2] == "kB"}


def cgroup_limits(root: Path) -> list[tuple[int, int]]:
    """Limit and use, in bytes, of every control group that this process is in (versions 1 and 2)."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / ("sys/fs/cgroup/memory" if controllers else "sys/fs/cgroup")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        group = Path(path.lstrip("/"))
        # In a container the path may be the one outside; then the limits are at the top.
        for directory in (top / group, *(top / parent for parent in group.parents)):
            limit, used = _number(directory / names[0]), _number(directory / names[1])
            if limit is not None and used is not None:
                found.append((limit, used - _reclaimable(directory)))
    return found


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # "max" is no number
        return None


def _reclaimable(directory: Path) -> int:
    # The cache of files counts as used, but goes when somebody needs the room.
    try:
        rows = dict(line.split() for line in (directory / "memory.stat").read_text().splitlines())
        return int(rows.get("total_inactive_file", rows.get("inactive_file", "0")))
    except (OSError, ValueError):
        return 0


def _of_macos() -> Memory | None:
    def output(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout

    try:
        total = int(output("/usr/sbin/sysctl", "-n", "hw.memsize"))
        return Memory(total=total, available=parse_vm_stat(output("/usr/bin/vm_stat")))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def parse_vm_stat(text: str) -> int:
    """Bytes available to new processes, of the output of macOS's vm_stat; ValueError if it isn't that."""
    heading, *lines = text.splitlines()
    page = int(heading.partition("page size of ")[2].split()[0]) if "page size of " in heading else 4096
    pages = {name.strip(): value.strip(" .") for name, _, value in (line.partition(":") for line in lines)}
    names = ("Pages free", "Pages inactive", "Pages speculative", "Pages purgeable")
    return page * sum(int(pages.get(name, "0")) for name in names)


def _spell(count: float) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"

"""Describes the machine, the versions and the revision that figures belong to."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from pytest_vcluster.toolchain.versions import ETCD_VERSION, KWOK_VERSION

_DISTRIBUTIONS = ("pytest", "pytest-vcluster", "vcluster-syncer", "pytest-xdist", "kubernetes", "cryptography")


def describe(*, repository: Path, kubernetes: str) -> dict[str, Any]:
    """What somebody needs to know to compare figures, as JSON values."""
    return {
        "cores": cores(),
        "memory_mb": memory_mb(),
        "load": load(),
        "system": platform.system(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "kubernetes": kubernetes,
        "etcd": ETCD_VERSION,
        "kwok": KWOK_VERSION,
        "distributions": {name: _version(name) for name in _DISTRIBUTIONS},
        "revision": _git(repository, "rev-parse", "HEAD"),
        "changed_files": len(_git(repository, "status", "--porcelain").splitlines()),
    }


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load() -> float:
    """Processes that wanted a core, over the last minute."""
    return round(os.getloadavg()[0], 2)


def memory_mb() -> int:
    """Physical memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(repository: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

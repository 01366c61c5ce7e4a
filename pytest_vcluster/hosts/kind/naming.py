"""Names and marks of kind clusters: which are ours, and whose.

The one rule: a cluster is ours if its nodes bear our mark from the moment they exist. kind passes no labels on to
Docker, but mounts: each node has an empty file (a mount of /dev/null, which every machine has, Docker Desktop's and a
remote one too) whose path says whose it is, and Docker lists containers by it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path

from pytest_vcluster.errors import SettingsError

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
ROLE_LABEL = "io.x-k8s.kind.role"
LOAD_BALANCER = "external-load-balancer"
PREFIX = "pytest-vcluster-"
SHARED_MARK = "/pytest-vcluster/shared"
"""On the nodes of clusters that are reused by name."""
_LONGEST = 63 - len("-control-plane")


def of_run(directory: Path) -> str:
    """The name of the cluster of the run in `directory`."""
    return f"{PREFIX}{directory.name}"


def run_in(base: Path, name: str) -> Path | None:
    """The directory, below that of all runs, of the run whose cluster has this name; None if none has."""
    found = re.fullmatch(f"{PREFIX}([0-9a-z]+)", name)
    return base / found[1] if found else None


def mark(base: Path) -> str:
    """What marks the clusters of runs below `base`: those that we can tell dead or alive.

    Others may share this Docker, with directories of their own that we don't see: other users, or containers that were
    given Docker's socket.
    """
    where = base.parent.stat()
    # macOS changes its name with the network.
    machine = os.uname().nodename if sys.platform == "linux" else ""
    known = json.dumps([machine, os.getuid(), str(base), where.st_dev, where.st_ino])
    return f"/pytest-vcluster/{hashlib.sha256(known.encode()).hexdigest()[:16]}"


def check_reused(name: str) -> None:
    """SettingsError if a cluster that is shared can't have this name."""
    if name.startswith(PREFIX):
        raise SettingsError(
            f"--vcluster-reuse {name!r}: names that begin with {PREFIX!r} are those of clusters that end with their "
            "run. Choose another."
        )
    if len(name) > _LONGEST or not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name):
        raise SettingsError(
            f"--vcluster-reuse {name!r} can't be the name of a kind cluster. Allowed: lower case letters, digits, "
            f"dots and dashes, {_LONGEST} at most."
        )

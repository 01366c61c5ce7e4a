"""Removing kind clusters that dead runs left and nobody remembers: their directories are gone, with the wills in them.

The one rule: as for everything of a run, its lock tells whether it is dead.
"""

from __future__ import annotations

from pathlib import Path

from pytest_vcluster.hosts.kind import leftovers
from pytest_vcluster.service import runs
from pytest_vcluster.service.roster import written


def sweep_clusters(base: Path | None = None) -> list[Path]:
    """Remove kind clusters of dead runs; returns the directories that these runs have or had.

    HostError if Docker doesn't answer.
    """
    where = base or runs.base()
    return runs.sweep(where, found={run: written(will) for run, will in leftovers.wills(where).items()})

"""Clusters that outlive their tests because somebody wants to look at them.

The one rule: a cluster is kept only while there is memory for it, and everything needed to reach it lies in the run's
directory, so it goes with the run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from pytest_vcluster.service.capacity import CLUSTER_BYTES, Memory, affordable
from pytest_vcluster.service.clusters import Clusters
from pytest_vcluster.service.lease_terms import Grant, Kept
from pytest_vcluster.service.occupant import Occupant
from pytest_vcluster.service.statistics import Statistics


class KeptClusters:
    """All clusters that are kept, by name."""

    def __init__(
        self,
        clusters: Clusters,
        statistics: Statistics,
        *,
        directory: Path,
        memory: Callable[[], Memory | None],
    ) -> None:
        self._clusters = clusters
        self._statistics = statistics
        self._directory = directory
        self._memory = memory
        self._kept: dict[str, tuple[Occupant, Kept]] = {}

    def all(self) -> tuple[Kept, ...]:
        """What is kept and still there."""
        self._kept = {name: entry for name, entry in self._kept.items() if not entry[0].leaving}
        return tuple(kept for _, kept in self._kept.values())

    def keep(self, occupant: Occupant, grant: Grant, holder: str) -> Kept | None:
        """Keep a leased cluster, gate and all; None if there is no memory for it, or it is dying."""
        memory = self._memory()
        if memory is not None and affordable(memory) < CLUSTER_BYTES:
            self._statistics.note(f"{grant.cluster} of {holder} was not kept: too little memory is free")
            return None
        if not self._clusters.keep(occupant):
            return None
        path = self._directory / f"{grant.cluster}.kubeconfig"
        kept = Kept(cluster=grant.cluster, version=grant.version, kubeconfig=str(path), holder=holder)
        path.touch(mode=0o600)
        path.write_text(grant.kubeconfig)
        self._kept[grant.cluster] = (occupant, kept)
        return kept

    def end(self, cluster: str | None) -> None:
        """End the cluster of that name, or all (None)."""
        for name, (occupant, kept) in tuple(self._kept.items()):
            if cluster in (None, name):
                self._clusters.end(occupant)
                del self._kept[name]
                with contextlib.suppress(OSError):
                    Path(kept.kubeconfig).unlink()

"""A kind cluster that runs, as those see it who put virtual clusters on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.hosts.kind.images import Images
from pytest_vcluster.hosts.kind.nodes import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class KindHost:
    """A kind cluster whose nodes are ready."""

    name: str
    kubeconfig: Path
    """For its administrator; readable to this user only."""
    context: str
    version: str
    """Of its Kubernetes, such as v1.36.4."""
    nodes: tuple[Node, ...]
    """The first one has a control plane."""
    gateway: str
    """Of the Docker network, as the nodes see it."""
    way_back: str | None
    """The address or name at which containers reach servers of this machine; None if there is none."""
    direct: bool
    """Whether this machine reaches the nodes at their addresses."""
    shared: bool
    """Whether other runs use it too, now or later."""
    images: Images

    async def load(self, references: Iterable[str], progress: Callable[[str], None]) -> None:
        """Have these images on all nodes; HostError that names those that can't be had."""
        await self.images.load(references, progress=progress)

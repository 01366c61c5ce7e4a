"""What the run service knows of clusters: these few methods, whatever the host.

The one rule: the service never asks what kind of host it has. `hosts.backplane` is the real thing; tests bring another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from pytest_vcluster.controlplane.component import Death, Starter
from pytest_vcluster.settings import NodeShape, Settings


class VirtualCluster(Protocol):
    """A cluster that answers."""

    @property
    def name(self) -> str:
        """The cluster's name."""

    @property
    def version(self) -> str:
        """Its Kubernetes version."""

    @property
    def backend(self) -> tuple[str, int]:
        """Where its API server listens."""

    @property
    def deaths(self) -> list[Death]:
        """Its processes that have ended."""

    @property
    def died(self) -> asyncio.Event:
        """Set with the first of `deaths`."""

    @property
    def on_host(self) -> asyncio.Event:
        """Set when the cluster has its nodes."""

    def facts(self, url: str) -> dict[str, object]:
        """What a lease through `url` is granted; may block for milliseconds."""


class Backplane(Protocol):
    """What all clusters of a run share."""

    @property
    def deaths(self) -> list[Death]:
        """Shared processes that have ended."""

    @property
    def failed(self) -> asyncio.Event:
        """Set with the first of `deaths`."""

    def virtual_cluster(
        self, *, version: str, nodes: Sequence[NodeShape]
    ) -> AbstractAsyncContextManager[VirtualCluster]:
        """A cluster that is ready when the context is entered and gone when it is left."""

    async def host_ready(self) -> Mapping[str, object]:
        """Start the host if need be, wait for it, and describe it."""


class OpenBackplane(Protocol):
    """Opens a backplane."""

    def __call__(
        self,
        settings: Settings,
        directory: Path,
        *,
        starter: Starter,
        register: Callable[[int], None],
        progress: Callable[[str], None],
    ) -> AbstractAsyncContextManager[Backplane]:
        """Open it below `directory`; `register` hears of processes, `progress` of what takes long."""

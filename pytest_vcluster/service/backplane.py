"""What the run service needs from the world of Kubernetes below it.

The one rule: Protocols only. The service knows no etcd, no API server and no host; it knows things that are opened,
make clusters, and may die.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, cast

from pytest_vcluster.controlplane.component import Starter
from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.settings import NodeShape, Settings


class DeathOf(Protocol):
    """A component that ended though it was needed."""

    @property
    def component(self) -> str:
        """What people call it."""

    @property
    def status(self) -> str:
        """How it ended: `killed by signal 9`."""

    @property
    def log(self) -> str:
        """Path of its log."""

    @property
    def tail(self) -> str:
        """The last lines of its log."""


class VirtualCluster(Protocol):
    """A virtual cluster that answers."""

    @property
    def name(self) -> str:
        """Its name, unique on this machine."""

    @property
    def backend(self) -> tuple[str, int]:
        """Address and port at which its API server is reached."""

    @property
    def entrance(self) -> str:
        """The local address that its gates are opened at."""

    @property
    def died(self) -> asyncio.Event:
        """Set as soon as one of its processes ended."""

    @property
    def deaths(self) -> Sequence[DeathOf]:
        """Which of its processes ended, and how."""

    @property
    def on_host(self) -> asyncio.Event:
        """Set as soon as it has its nodes."""

    @property
    def laid(self) -> bool:
        """Whether it has the baseline that it was asked for with."""

    async def settle(self, *, about: str) -> int:
        """Take the present state, as soon as it comes to rest, as the baseline that others are made with too.

        Returns its revision; ProvisionError with what kept changing. `about` as in `LeaseRequest`.
        """

    async def checkpoint(self) -> str:
        """Remember the present state; returns its name."""

    async def restore(self, checkpoint: str) -> str:
        """Go back to a remembered state; returns what somebody kept writing meanwhile. ProvisionError if that fails."""

    async def load_image(self, reference: str) -> None:
        """Have an image on all nodes; NotAvailableOnHost where that can't be, HostError where it can't be had."""

    @property
    def differences(self) -> Sequence[str]:
        """How it differed, after the last recycling, from what it was when fresh; empty unless the run compares."""

    async def recycle(self) -> str:
        """Put the cluster back to the state it was first handed out in; returns why it isn't, or nothing.

        Nobody may be connected. What did not get back must be thrown away.
        """

    def facts(self, url: str) -> dict[str, Any]:
        """All fields of a `Grant` that the service doesn't know itself; may block, so it runs in a thread."""


class Backplane(Protocol):
    """What all virtual clusters of a run share; it lives and dies as a whole."""

    @property
    def failed(self) -> asyncio.Event:
        """Set as soon as a shared component ended: nothing made here can be trusted any more."""

    @property
    def deaths(self) -> Sequence[DeathOf]:
        """Which shared components ended, and how."""

    def virtual_cluster(
        self, *, version: str, nodes: Sequence[NodeShape], baseline: str
    ) -> AbstractAsyncContextManager[VirtualCluster]:
        """A cluster that is ready when the context is entered, and gone when it is left.

        It has the `baseline` of that digest if one is at hand that can be cloned; see `VirtualCluster.laid`.
        """

    async def host_ready(self) -> Mapping[str, object]:
        """Start the host if need be, wait until it takes clusters, and describe it."""


class OpenBackplane(Protocol):
    """Opens a backplane below `directory`, which exists and is empty; leaving the context leaves nothing running.

    Every child process is started through `starter`, or reported to `register` right after its start; each leads a
    session of its own. What does not end with processes is in a last will, told to `will` before it is made.
    """

    def __call__(
        self,
        settings: Settings,
        directory: Path,
        *,
        starter: Starter,
        register: Callable[[int], None],
        progress: Callable[[str], None],
        will: Callable[[LastWill], None],
        begun: Any = None,
    ) -> AbstractAsyncContextManager[Backplane]:
        """Open it; `begun` is what `Run.ahead` made, for all backplanes of the run."""


def opener(name: str) -> OpenBackplane:
    """Find the `OpenBackplane` named `module:function`."""
    module, _, function = name.partition(":")
    return cast("OpenBackplane", getattr(importlib.import_module(module), function))

"""What a pytest worker does with the run service: lease a cluster, ask about the run, end it.

The one rule: synchronous, standard library only, and light to import; it holds no state but what its callers hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pytest_vcluster.errors import LeaseLost
from pytest_vcluster.service.asking import ANSWER_SECONDS, ask, ask_if_running
from pytest_vcluster.service.channel import Channel, ServiceGone
from pytest_vcluster.service.election import dial
from pytest_vcluster.service.ending import shut_down
from pytest_vcluster.service.lease_terms import Death, Grant, Kept, LeaseRequest, LogRef
from pytest_vcluster.service.overview import RunStatus, end_kept, list_runs
from pytest_vcluster.service.protocol import (
    CheckpointTaken,
    DescribeHost,
    Died,
    Granted,
    HostFacts,
    ImageLoaded,
    Laid,
    LiveOn,
    LoadImage,
    Message,
    NotLaid,
    OpenLease,
    Release,
    Released,
    RestoreCheckpoint,
    Restored,
    Settled,
    Status,
    Summarize,
    Summary,
    TakeCheckpoint,
)
from pytest_vcluster.service.runs import Run, sweep
from pytest_vcluster.settings import Settings

__all__ = [
    "Death",
    "Grant",
    "Kept",
    "Lease",
    "LeaseRequest",
    "LogRef",
    "Run",
    "RunStatus",
    "end_kept",
    "host_info",
    "keep",
    "list_runs",
    "open_lease",
    "running",
    "shut_down",
    "summary",
    "sweep",
]

STEP_SECONDS = 60.0
A = TypeVar("A", bound=Message)


class Lease:
    """A cluster that is this process's alone until it is released or this process ends."""

    def __init__(self, channel: Channel, grant: Grant, directory: Path) -> None:
        self.grant = grant
        self.directory = directory
        """The run's directory: what is put there goes with the run, whatever happens to this process."""
        self.kept: Kept | None = None
        """Set once the lease was released with `keep`, if the cluster could be kept."""
        self._channel = channel
        self._deaths: list[Death] = []

    def deaths(self) -> list[Death]:
        """Everything that this lease depends on and that ended so far; doesn't wait."""
        while self._channel.open:
            try:
                message = self._channel.receive(timeout=0)
            except LeaseLost:
                self._lost()
                break
            if message is None:
                break
            self._take(message)
        return list(self._deaths)

    def laid(self) -> None:
        """Tell that the baseline was laid, and wait until it is taken; what it was so far is not the test's doing.

        Raises ProvisionError if the cluster does not come to rest, with what keeps changing.
        """
        settled = self._ask(Laid(), Settled, step="The baseline coming to rest", timeout=STEP_SECONDS)
        self.grant = replace(self.grant, laid=True, revision=settled.revision)

    def not_laid(self, why: str) -> None:
        """Tell that the baseline can't be laid; `why` is told to everybody else who wants it."""
        self._ask(NotLaid(why=why), Settled, step="Giving up a baseline", timeout=ANSWER_SECONDS)

    def checkpoint(self) -> str:
        """Have the cluster's state remembered; returns its name."""
        return self._ask(TakeCheckpoint(), CheckpointTaken, step="A checkpoint", timeout=STEP_SECONDS).checkpoint

    def restore(self, checkpoint: str) -> str:
        """Have the cluster go back to a checkpoint; returns what somebody kept writing meanwhile, in words."""
        asked = RestoreCheckpoint(checkpoint=checkpoint)
        return self._ask(asked, Restored, step="Going back to a checkpoint", timeout=STEP_SECONDS).restless

    def load_image(self, reference: str, *, timeout: float) -> None:
        """Have an image brought to all nodes of the host."""
        self._ask(LoadImage(reference=reference), ImageLoaded, step=f"Loading the image {reference}", timeout=timeout)

    def _ask(self, message: Message, expected: type[A], *, step: str, timeout: float) -> A:
        if not self._channel.open:
            raise LeaseLost(f"{step}: the lease of {self.grant.cluster} has ended, the cluster is another test's now.")
        try:
            self._channel.send(message)
            answer = self._channel.answer(step, timeout=timeout, on_other=self._take)
        except ServiceGone:
            self._lost()
            raise
        assert isinstance(answer, expected)
        return answer

    def release(self, *, keep: bool = False) -> None:
        """End the lease; with `keep` the cluster stays until the user ends it. Harmless when called again."""
        if not self._channel.open:
            return
        try:
            self._channel.send(Release(keep=keep))
            answer = self._channel.answer("The release of a lease", timeout=ANSWER_SECONDS, on_other=self._take)
            self.kept = answer.kept if isinstance(answer, Released) else None
        except LeaseLost:
            self._lost()
        finally:
            self._channel.close()

    def _take(self, message: Message) -> bool:
        if isinstance(message, Died):
            self._deaths.append(message.death)
        return isinstance(message, Died)

    def _lost(self) -> None:
        self._channel.close()
        status = "its connection broke; it was killed, or the machine ran out of memory"
        self._deaths.append(Death(component="run service", status=status, log="", tail=""))


def open_lease(
    run: Run,
    settings: Settings,
    request: LeaseRequest,
    *,
    timeout: float,
    on_progress: Callable[[str], None],
) -> Lease:
    """Lease a pristine cluster, and start the run service if there is none.

    `timeout` is how many seconds may pass without news; what takes long by nature (a build) gives news. Raises what the
    service failed with, Timeout, and LeaseLost if the run is over.
    """
    channel, answer = ask(
        run,
        settings,
        OpenLease(request=request, asked=time.monotonic()),
        Granted,
        step=f"A cluster for {request.holder}",
        timeout=timeout,
        on_progress=on_progress,
    )
    return Lease(channel, answer.grant, run.directory)


def host_info(
    run: Run, settings: Settings, *, timeout: float, on_progress: Callable[[str], None]
) -> Mapping[str, object]:
    """Describe the host, and start it (and the run service) if need be; raises as `open_lease` does."""
    channel, answer = ask(
        run, settings, DescribeHost(), HostFacts, step="The host", timeout=timeout, on_progress=on_progress
    )
    channel.close()
    return answer.facts


def running(run: Run) -> bool:
    """Whether the run has a service that answers."""
    connection = dial(run)
    if connection is not None:
        connection.close()
    return connection is not None


def summary(run: Run) -> Mapping[str, object] | None:
    """What the run service did so far; None if there is none."""
    answer = ask_if_running(run, Summarize(), Summary)
    return answer.totals if answer is not None else None


def keep(run: Run) -> tuple[Kept, ...]:
    """Have the service outlive this run's controller for as long as clusters are kept, and tell which those are.

    Without kept clusters the service ends.
    """
    answer = ask_if_running(run, LiveOn(), Status)
    return answer.kept if answer is not None else ()

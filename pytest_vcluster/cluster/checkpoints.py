"""Remembering a cluster's state in the middle of a test, and going back to it.

The one rule: a checkpoint belongs to the lease that took it, and ends with it.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_vcluster.errors import LeaseLost

if TYPE_CHECKING:
    from pytest_vcluster.cluster.guard import Guard
    from pytest_vcluster.cluster.lease import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A remembered state of one cluster, for `VCluster.restore`."""

    cluster: str
    url: str
    """Where the cluster was reached: no two leases share it."""
    name: str = field(repr=False)


class RestlessClusterWarning(UserWarning):
    """Somebody kept writing to a cluster while it went back to a checkpoint."""


class Checkpoints(ABC):
    """The handle's share of checkpoints."""

    lease: Lease
    name: str
    url: str
    _guarded: Guard

    def checkpoint(self) -> Checkpoint:
        """Remember the cluster's state as it is at this moment, whatever its controllers are about to do.

        Any number of checkpoints can be taken; each costs memory for a copy of all objects until the test ends.
        """
        self._still_held("checkpoint")
        with self._guarded():
            return Checkpoint(cluster=self.name, url=self.url, name=self.lease.checkpoint())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Bring the cluster back to `checkpoint`, while clients and watches stay connected.

        Objects that were deleted since come back as what they were, uid included; all others are deleted without
        their finalizers being asked. Watches see this as ordinary changes. Controllers of the test that run meanwhile
        act on what they still remember and may write it again: after half a second they have the last word, and
        `RestlessClusterWarning` names what they wrote. Stop them first to be sure of the state.

        Raises LeaseLost for a checkpoint of another lease, or after this one has ended.
        """
        self._still_held("restore")
        if (checkpoint.cluster, checkpoint.url) != (self.name, self.url):
            message = (
                f"restore: this is a checkpoint of {checkpoint.cluster} at {checkpoint.url}, another lease than "
                f"this one ({self.name} at {self.url}). A checkpoint can be restored only in the test that took it."
            )
            raise LeaseLost(message)
        with self._guarded():
            restless = self.lease.restore(checkpoint.name)
        if restless:
            message = f"somebody kept writing to {self.name} while it was restored: {restless}"
            warnings.warn(RestlessClusterWarning(message), stacklevel=2)

    def _still_held(self, what: str) -> None:
        if self._closed:
            message = f"{what}: the lease of {self.name} has ended, the cluster is another test's now."
            raise LeaseLost(message)

    @property
    @abstractmethod
    def _closed(self) -> bool:
        """Whether the lease has ended."""

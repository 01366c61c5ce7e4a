"""What a recycler goes by: whom it puts back, whom it asks, how long things may take.

The one rule: all of this is known before anything is put back, and none of it changes meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vcluster_syncer.recycle.processes import Commands


class Drained(Protocol):
    """Waits until the host has what it should of objects that ended or were put back; tells what it has not."""

    async def __call__(
        self, deleted: Mapping[tuple[str, str, str], int], put: Mapping[tuple[str, str, str], int], *, timeout: float
    ) -> str:
        """Wait; what was deleted and what was put back are plural, namespace and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What to put back: the keys below `prefix` of the etcd at `etcd`, while the processes `freeze` stand still."""

    etcd: Path
    prefix: str
    freeze: tuple[int, ...] = ()
    rest: tuple[int, ...] = ()
    """Which processes must have come to rest in the end."""
    commands: Commands | None = None
    """By what both are found each time, in the place of ids: where they are replaced without anybody telling us."""
    audit: Path | None = None
    """Where the API server notes what it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long things may take, in seconds, and how often."""

    quiet: float = 0.015
    """So long nothing may change after the thaw, and all processes must be at rest."""
    quiet_blindly: float = 0.1
    """The same where the system doesn't tell whether processes are at rest."""
    settled: float = 0.1
    """So long nothing may change before a baseline is taken."""
    settling: float = 20.0
    answered: float = 2.0
    """So long requests of the controller manager may be without an answer: a new cluster takes no longer."""
    barrier: float = 5.0
    drained: float = 10.0
    awake: float = 30.0
    """So long a new controller manager may take until it works."""
    restless: float = 0.5

"""All runs of this user on this machine, for people who want to see or end them.

The one rule: only what lies on disk and what a live service says of itself; nothing is changed by looking.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.errors import Timeout
from pytest_vcluster.service import runs
from pytest_vcluster.service.asking import ANSWER_SECONDS, ask_if_running
from pytest_vcluster.service.ending import shut_down
from pytest_vcluster.service.lease_terms import Kept
from pytest_vcluster.service.protocol import Describe, EndKept, Status
from pytest_vcluster.service.runs import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run on this machine. A dead one (not `alive`) left its directory behind; `sweep` removes it."""

    id: str
    directory: Path
    alive: bool
    controller_pid: int = 0
    lives_on: bool = False
    clusters: Mapping[str, str]
    kept: tuple[Kept, ...] = ()


def list_runs(base: Path | None = None) -> list[RunStatus]:
    """Every run of this user on this machine that is alive or left something (below `base`, if given)."""
    found = []
    for directory in runs.directories(base):
        status = _status(directory)
        found.append(
            RunStatus(
                id=directory.name,
                directory=directory,
                alive=runs.is_alive(directory),
                controller_pid=status.controller_pid if status else 0,
                lives_on=status.lives_on if status else False,
                clusters=status.clusters if status else {},
                kept=status.kept if status else (),
            )
        )
    return found


def end_kept(directory: Path, *, cluster: str | None = None, timeout: float = ANSWER_SECONDS) -> None:
    """End kept clusters of the run in `directory`: the one of that name, or all.

    A service that only lived on for them ends with the last one, and then this returns when nothing is left.
    """
    run = _foreign(directory)
    answer = ask_if_running(run, EndKept(cluster=cluster), Status)
    if answer is not None and answer.lives_on and not answer.kept:
        shut_down(run, timeout=timeout)


def _status(directory: Path) -> Status | None:
    try:
        return ask_if_running(_foreign(directory), Describe(), Status)
    except (OSError, Timeout):
        return None


def _foreign(directory: Path) -> Run:
    return Run(id=directory.name, controller_pid=os.getpid(), controller_started="", directory=directory)

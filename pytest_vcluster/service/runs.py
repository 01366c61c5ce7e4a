"""Runs as they lie on disk: one directory and one lock file each, below one base directory of the user.

The one rule: a directory belongs to whoever holds the lock beside it. Everything is known from the outside (names,
locks, the list of processes), so that what a run left can be found and removed when nobody of it is alive.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_vcluster.service import reaper
from pytest_vcluster.service.lock import RunLock, is_held

DEFAULT_BACKPLANE = "pytest_vcluster.hosts.backplanes:opened"
DEFAULT_AHEAD = "pytest_vcluster.controlplane.key_maker:KeyMaker"
_LONGEST_SOCKET = 100
"""Unix socket paths have 104 bytes on macOS and 108 on Linux, the ending null byte included."""
_LONGEST_NAME = "12345678/1/etcd-peer.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A test run: the process that the user started, and the directory that everything of the run is in."""

    id: str
    controller_pid: int
    controller_started: str
    directory: Path
    backplane: str = DEFAULT_BACKPLANE
    """`module:function` that opens the backplane; tests put another one."""
    ahead: str = DEFAULT_AHEAD
    """`module:function` that starts what the backplane will need, or nothing."""

    @classmethod
    def of_controller(cls) -> Run:
        """A new run that lives no longer than this process."""
        identity = os.urandom(4).hex()
        pid = os.getpid()
        return cls(id=identity, controller_pid=pid, controller_started=reaper.started(pid), directory=base() / identity)

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values that `from_json` turns back into an equal run."""
        return {
            "id": self.id,
            "controller_pid": self.controller_pid,
            "controller_started": self.controller_started,
            "directory": str(self.directory),
            "backplane": self.backplane,
            "ahead": self.ahead,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Run:
        """The run that `to_json` described."""
        return cls(**{**document, "directory": Path(document["directory"])})

    @property
    def socket(self) -> Path:
        """Where the run service listens."""
        return socket_in(self.directory)

    @property
    def lock(self) -> Path:
        """The file whose lock its service holds."""
        return lock_of(self.directory)

    @property
    def log(self) -> Path:
        """What the service itself has to say."""
        return self.directory / "service.log"

    def controller_is_alive(self) -> bool:
        """Whether the process that the user started is still there."""
        return reaper.started(self.controller_pid) == self.controller_started


def base() -> Path:
    """The directory of all runs of this user: a temporary one whose path leaves room for the names of sockets."""
    import tempfile  # noqa: PLC0415 - the run service, whose start tests wait for, is told where it is

    name = f"pytest-vcluster-{os.getuid()}"
    wanted = Path(tempfile.gettempdir()) / name
    return wanted if len(os.fsencode(wanted / _LONGEST_NAME)) < _LONGEST_SOCKET else Path("/tmp") / name  # noqa: S108


def socket_in(directory: Path) -> Path:
    """Where the service of the run in `directory` listens."""
    return directory / "service.sock"


def lock_of(directory: Path) -> Path:
    """The lock file of the run in `directory`."""
    return directory.with_name(f"{directory.name}.lock")


def processes_in(directory: Path) -> Path:
    """The list of processes that the run in `directory` started."""
    return directory / reaper.LIST


def directories(where: Path | None = None) -> list[Path]:
    """The directory of every run that is or was below `where` (`base()` if not given), sorted."""
    where = where or base()
    try:
        names = [entry.name for entry in where.iterdir()]
    except OSError:
        return []
    return [where / name for name in sorted({name.removesuffix(".lock") for name in names})]


def is_alive(directory: Path) -> bool:
    """Whether anybody of the run in `directory` is there."""
    return is_held(lock_of(directory))


def clear(directory: Path, *, wills: str = "") -> bool:
    """Kill what is left of the run in `directory`, and remove it; the caller holds its lock.

    `wills` are lines as in its list, of things that somebody found elsewhere. Returns whether nothing is left; if
    something is (Docker has stopped, say), the directory keeps the list of it.
    """
    written = reaper.written_in(directory)
    reaper.kill(reaper.parse(written))
    return reaper.leave(directory, written + wills)


def sweep(where: Path | None = None, *, found: Mapping[Path, str] | None = None) -> list[Path]:
    """Remove what dead runs left; a live run is never touched. Returns the directories that were removed.

    `found` are things outside of directories (`hosts.kind.leftovers`), each as a line that `clear` understands, by the
    directory of the run that made them, which may be gone.
    """
    found = found or {}
    swept = []
    for directory in sorted({*directories(where), *found}):
        lock = RunLock.take(lock_of(directory))
        if lock is None:
            continue
        if (directory.exists() or directory in found) and clear(directory, wills=found.get(directory, "")):
            swept.append(directory)
        reaper.remove_lock(lock.path)
        lock.close()
    return swept

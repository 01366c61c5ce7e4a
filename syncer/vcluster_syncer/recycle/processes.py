"""Finding the processes of a pod's other containers, where containers share one view of processes.

The one rule: a process is what it was started as, the file name of its first argument. Who is to be stopped must be
exactly one: nobody would notice a controller manager that kept writing beside the one that was stopped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vcluster_syncer.recycle.freeze import NotFrozen

PROC = Path("/proc")
_SHARED = "the containers of the pod have to share one view of processes (shareProcessNamespace: true)"


@dataclass(frozen=True, slots=True)
class Process:
    """A process: what it was started as, and when (in the system's ticks), because ids are used again."""

    pid: int
    command: str
    started: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """Who stands still meanwhile, and who must have come to rest in the end, by what they were started as."""

    freeze: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    directory: Path = PROC
    """Where the system lists its processes."""

    def found(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the ids of both, as they are now; NotFrozen if they can't be told."""
        there = listing(self.directory)
        to_rest = tuple(process.pid for command in self.rest for process in some(command, there))
        return tuple(one(command, there).pid for command in self.freeze), to_rest


def one(command: str, processes: Iterable[Process]) -> Process:
    """Return the process of that command; NotFrozen for none and for several."""
    found = some(command, processes)
    if len(found) > 1:
        pids = ", ".join(str(process.pid) for process in found)
        raise NotFrozen(f"{len(found)} processes were started as {command} ({pids}), and only one of them is meant")
    return found[0]


def some(command: str, processes: Iterable[Process]) -> tuple[Process, ...]:
    """Return the processes of that command; NotFrozen for none."""
    everybody = tuple(processes)
    found = tuple(process for process in everybody if process.command == command)
    if not found:
        seen = ", ".join(sorted({process.command for process in everybody})) or "none"
        raise NotFrozen(f"no process was started as {command}; seen: {seen}. If it runs, {_SHARED}")
    return found


def listing(directory: Path = PROC) -> tuple[Process, ...]:
    """Look at all processes that there are; what has no arguments (a dead process, the kernel's) is none."""
    found = (look(int(entry.name), directory) for entry in directory.iterdir() if entry.name.isdigit())
    return tuple(process for process in found if process is not None)


def look(pid: int, directory: Path = PROC) -> Process | None:
    """Look at one process; None if there is none of that id."""
    try:
        first = (directory / str(pid) / "cmdline").read_bytes().partition(b"\0")[0]
        stat = (directory / str(pid) / "stat").read_bytes()
    except OSError:
        return None  # it ended just now
    if not first:
        return None
    # The fields after the name, which may hold anything; `starttime` is the 22nd of all, the state is the third.
    started = int(stat.rpartition(b") ")[2].split()[19])
    return Process(pid, PurePosixPath(first.decode(errors="replace")).name, started)

"""Telling whether processes have anything left to do.

What a controller has in its queues is written when it gets a processor, which on a busy machine may be later than any
pause we care to make. The one rule: a process is at rest when it used next to no processor time over a while, and
none of its threads waits for one. Only Linux tells; elsewhere a longer pause has to do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# An idle controller manager uses 0.2 ms in 15 ms, at most 0.6; one that writes a single event uses more than 1 ms.
_IDLE_NANOSECONDS = 800_000
_CAN_TELL = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class Work:
    """How much processor time a process has used, in nanoseconds, and how many of its threads want to run."""

    used: int
    runnable: int


def can_tell() -> bool:
    """Whether this system tells about the work of processes."""
    return _CAN_TELL


def work_of(pids: Iterable[int], *, states: bool = True) -> tuple[Work, ...]:
    """Look at processes; one that is gone counts as doing nothing, for its owner to notice.

    Without `states` nobody is told to want to run, which halves what the look costs: enough for the first of two.
    """
    return tuple(_work(Path("/proc") / str(pid) / "task", states=states) for pid in pids)


def at_rest(before: tuple[Work, ...], after: tuple[Work, ...]) -> bool:
    """Tell whether all processes were idle between two looks, some 15 ms apart."""
    return all(
        now.runnable == 0 and now.used - then.used < _IDLE_NANOSECONDS for then, now in zip(before, after, strict=True)
    )


def _work(tasks: Path, *, states: bool) -> Work:
    used = runnable = 0
    try:
        threads = list(tasks.iterdir())
    except OSError:
        return Work(0, 0)
    for thread in threads:
        try:
            used += int((thread / "schedstat").read_bytes().split(maxsplit=1)[0])
            # The state comes behind the name, which may hold anything: https://man7.org/linux/man-pages/man5/proc.5.html
            runnable += states and (thread / "stat").read_bytes().rpartition(b") ")[2][:1] == b"R"
        except (OSError, ValueError, IndexError):
            continue  # it ended just now
    return Work(used, runnable)

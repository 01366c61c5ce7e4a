"""The processes of a run, and what they weigh, as Linux tells it in /proc.

The one rule: a process belongs to a run when its environment names the run's temporary folder; what has no readable
environment (another user's, a zombie) does not.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_KB_PER_MB = 1000 / 1.024


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """Memory of a process: what several map is shared out in `pss_mb`; `private_mb` is its alone."""

    pss_mb: float
    private_mb: float
    written_mb: float
    """Of what is private, what was written to."""
    rss_mb: float
    """All that is mapped, whoever else maps it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of a run; `name` is the program's, or the Python module's that it runs."""

    pid: int
    name: str
    command: str


def is_supported() -> bool:
    """Whether this system tells private memory per process."""
    return sys.platform == "linux" and (_PROC / "self" / "smaps_rollup").exists()


def of_run(temporary: Path) -> list[Process]:
    """The living processes whose TMPDIR is `temporary`."""
    mark = f"TMPDIR={temporary}".encode()
    found = []
    for directory in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (directory / "environ").read_bytes().split(b"\0"):
                parts = _parts((directory / "cmdline").read_bytes())
                found.append(Process(pid=int(directory.name), name=_name(parts), command=" ".join(parts)))
    return found


def of_pod(uid: str) -> list[Weight]:
    """What the processes of a Kubernetes pod weigh, wherever on this machine its node is; empty if it is elsewhere."""
    # The drivers of control groups spell it in two ways.
    marks = {f"pod{uid}", f"pod{uid.replace('-', '_')}"}
    found = []
    for directory in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            text = (directory / "cgroup").read_text()
            if any(mark in text for mark in marks) and (weighed := weight(int(directory.name))):
                found.append(weighed)
    return found


def end_all(temporary: Path) -> None:
    """Kill what a run has left: only processes that bear its mark."""
    for process in of_run(temporary):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, signal.SIGKILL)


def weight(pid: int) -> Weight | None:
    """What the process weighs; None when it has ended."""
    try:
        return parse_rollup((_PROC / str(pid) / "smaps_rollup").read_text())
    except OSError:
        return None


def parse_rollup(text: str) -> Weight:
    """Read the text of a smaps_rollup, whose figures are in units of 1024 bytes."""
    figures = {fields[0].rstrip(":"): int(fields[1]) for line in text.splitlines()[1:] if (fields := line.split())}
    return Weight(
        pss_mb=figures["Pss"] / _KB_PER_MB,
        private_mb=(figures["Private_Clean"] + figures["Private_Dirty"]) / _KB_PER_MB,
        written_mb=figures["Private_Dirty"] / _KB_PER_MB,
        rss_mb=figures["Rss"] / _KB_PER_MB,
    )


def _parts(cmdline: bytes) -> list[str]:
    return [part.decode(errors="replace") for part in cmdline.split(b"\0") if part]


def _name(parts: Sequence[str]) -> str:
    if not parts:
        return "?"
    if "-m" in parts[:-1] and Path(parts[0]).name.startswith("python"):
        return parts[parts.index("-m") + 1]
    return Path(parts[0]).name

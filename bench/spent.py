"""Runs a Python module as a program and notes the CPU time of all processes that came of it.

`python -m bench.spent FILE MODULE ARGUMENT...`: seconds go to FILE, as JSON, and the exit code is the module's. The one
rule: nobody is missed. What outlives its parent becomes a child of this process (Linux), so it is waited for, and with
it counts all that it has waited for itself.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.children import death_signal

_PR_SET_CHILD_SUBREAPER = 36
_ORPHANS_SECONDS = 5.0
_POLL_SECONDS = 0.005


def main(arguments: Sequence[str]) -> int:
    """Run it."""
    file, *module = arguments
    if not is_supported() or ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        print("This system can't tell the CPU time of processes that outlive their parents.", file=sys.stderr)
        return 2
    process = subprocess.Popen([sys.executable, "-m", *module], preexec_fn=death_signal())  # noqa: PLW1509 - one thread
    pid, status = os.wait()
    while pid != process.pid:
        pid, status = os.wait()
    process.returncode = os.waitstatus_to_exitcode(status)
    orphans = _await_orphans()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    Path(file).write_text(json.dumps({"seconds": usage.ru_utime + usage.ru_stime, "orphans": orphans}))
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def is_supported() -> bool:
    """Whether this system lets a process adopt what its descendants leave."""
    return sys.platform == "linux"


def seconds(file: Path) -> float:
    """What a run noted."""
    return float(json.loads(file.read_text(encoding="utf-8"))["seconds"])


def _await_orphans() -> bool:
    """Wait for what is left; returns whether something stayed, which whoever started this will find too."""
    deadline = time.monotonic() + _ORPHANS_SECONDS
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            time.sleep(_POLL_SECONDS)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

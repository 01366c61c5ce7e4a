"""Cleans up after a run service that was killed: a small process of its own that outlives it by a moment.

The one rule: standard library only, no import of ours, nothing that can fail early. It runs as `python -I -S reaper.py
FOLDER` with the read end of a pipe as standard input, whose other end only the service holds. Lines on it name process
groups to kill (`PID START`); its end means that the service is no more, however that came.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path


def started_at(pid: int) -> str:
    """When process `pid` started, in a form that only ever equals itself; empty if there is no such process.

    A process id alone is no identity: it is used again.
    """
    try:
        # The 22nd field, counted behind the command, which may hold spaces and parentheses. See proc(5).
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    if Path("/proc/self").exists():
        return ""
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip().replace(" ", "_")


def main() -> None:
    """Wait for the service's end, then kill what it started and remove its folder."""
    # Only the end of the pipe ends us: not the terminal, not a polite request to the whole group.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = Path(sys.argv[1])
    groups = [line.split() for line in sys.stdin]
    for group in groups:
        pid, started = int(group[0]), group[1] if len(group) > 1 else ""
        if started and started_at(pid) == started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
    remove(folder)


def remove(folder: Path) -> None:
    """Remove a service's folder, and the run's and the user's if they are empty then.

    The last two under the lock of the election, so that nobody who is about to start a service loses them.
    """
    shutil.rmtree(folder, ignore_errors=True)
    run, base = folder.parent, folder.parent.parent
    with contextlib.suppress(OSError):
        descriptor = os.open(base, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            run.rmdir()
            base.rmdir()
        finally:
            os.close(descriptor)


if __name__ == "__main__":
    main()

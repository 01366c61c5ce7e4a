"""Every process that the service started, told to the reaper and written down, so that none can outlive the run.

The one rule: a process is registered right after it was started, before anything else is done with it. What does not
die with processes (containers) is registered before it is made, with how to remove it: a last will.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.service import reaper
from pytest_vcluster.service.lock import RunLock
from pytest_vcluster.service.runs import processes_in
from pytest_vcluster.service.watch import watch

_REAPER = Path(reaper.__file__)


def written(will: LastWill) -> str:
    """The line that tells the reaper of `will`."""
    return f"{reaper.WILL}{json.dumps(will.to_json())}\n"


def _inherited(directory: Path) -> list[str]:
    # What could not be removed when the service before us, of the same run, had ended.
    try:
        lines = processes_in(directory).read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [line for line in lines if line.startswith(reaper.WILL)]


class Roster:
    """The list of child processes, and the reaper that gets it. `lost` is called if no reaper can be had."""

    def __init__(self, directory: Path, lock: RunLock, *, lost: Callable[[], None]) -> None:
        self._directory = directory
        self._lock = lock
        self._lost = lost
        self._children: dict[int, str] = {}
        self._wills = _inherited(directory)
        self._pipe = -1
        self._reaper: subprocess.Popen[bytes] | None = None
        self._stop_watching: Callable[[], None] | None = None
        self._closing = False

    def start(self) -> None:
        """Start the reaper, and another one whenever it ends."""
        read, write = os.pipe()
        popen = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_REAPER), str(self._directory), str(self._lock.path)],
            stdin=read,
            stdout=subprocess.DEVNULL,
            pass_fds=(self._lock.descriptor,),  # the lock is free when both of us are gone
            start_new_session=True,
            cwd="/",
        )
        os.close(read)
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = write
        for pid, started in self._children.items():
            self._tell(f"{pid}\t{started}\n")
        for will in self._wills:
            self._tell(will)

        def ended() -> None:
            popen.wait()
            if not self._closing:
                try:
                    self.start()
                except OSError:
                    self._lost()

        self._stop_watching = watch(popen.pid, reaper.started(popen.pid), ended)
        self._reaper = popen  # it is to outlive us, so nobody waits for it

    def register(self, pid: int) -> None:
        """Write down a child that was just started."""
        started = reaper.started(pid)
        if not started:
            return  # it ended already
        for other in [other for other, mark in self._children.items() if reaper.started(other) != mark]:
            del self._children[other]
        self._children[pid] = started
        line = f"{pid}\t{started}\n"
        self._tell(line)
        with contextlib.suppress(OSError), processes_in(self._directory).open("a") as file:
            file.write(line)

    def will(self, will: LastWill) -> None:
        """Write down what is to be removed when we are gone; OSError if that can't be, so it must not be made."""
        line = written(will)
        if line in self._wills:
            return
        with processes_in(self._directory).open("a") as file:
            file.write(line)
        self._wills.append(line)
        self._tell(line)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # the next reaper gets the whole list
            os.write(self._pipe, line.encode())

    def kill(self) -> None:
        """Kill all of them at once, each with its session; returns at once."""
        self._closing = True
        for pid, started in self._children.items():
            if reaper.started(pid) == started:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)

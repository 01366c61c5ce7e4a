"""Every process that the service started, told to the reaper and written down, so that none can outlive the run.

The one rule: a process is registered right after it was started, before anything else is done with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pytest_vcluster.service import reaper
from pytest_vcluster.service.lock import RunLock
from pytest_vcluster.service.runs import processes_in
from pytest_vcluster.service.watch import watch

_REAPER = Path(reaper.__file__)


class Roster:
    """The list of child processes, and the reaper that gets it. `lost` is called if no reaper can be had."""

    def __init__(self, directory: Path, lock: RunLock, *, lost: Callable[[], None]) -> None:
        self._directory = directory
        self._lock = lock
        self._lost = lost
        self._children: dict[int, str] = {}
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
            self._tell(pid, started)

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
        self._tell(pid, started)
        with contextlib.suppress(OSError), processes_in(self._directory).open("a") as file:
            file.write(f"{pid}\t{started}\n")

    def _tell(self, pid: int, started: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # the next reaper gets the whole list
            os.write(self._pipe, f"{pid}\t{started}\n".encode())

    def kill(self) -> None:
        """Kill all of them at once, each with its session; returns at once."""
        self._closing = True
        for pid, started in self._children.items():
            if reaper.started(pid) == started:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)

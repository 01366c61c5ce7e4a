"""The run's folder: where its services are found, told apart from dead ones, and swept away.

The one rule: a folder belongs to a live service exactly as long as that service holds the lock on the file in it. So
the living are never swept, and the dead are found whatever killed them. Layout: `<base>/<run>/<number>/service.sock`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from pytest_vcluster.service.protocol import SOCKET, base_directory
from pytest_vcluster.service.reaper import remove, started_at

ALIVE = "alive"
PROCESSES = "processes"
_YOUNG_SECONDS = 30.0


@contextlib.contextmanager
def election(directory: Path) -> Iterator[None]:
    """Hold the right to start a service for the run of `directory`, which is made if need be.

    The lock is on the folder of all runs itself: no file has to be left behind for it. Another process may remove that
    folder, being empty, between our making it and locking it; then the lock is on nothing, and we start again.
    """
    base = directory.parent
    while True:
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(base, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                still_there = base.stat().st_ino == os.fstat(descriptor).st_ino
            except FileNotFoundError:
                continue
            if still_there:
                directory.mkdir(exist_ok=True, mode=0o700)
                yield
                return
        finally:
            os.close(descriptor)


def incarnations(directory: Path) -> list[Path]:
    """The folders of all services of the run, the newest first."""
    try:
        found = [path for path in directory.iterdir() if path.name.isdigit()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found, key=lambda path: -int(path.name))


def stay_alive(folder: Path) -> int:
    """Mark `folder` as that of a live service, until this process ends or closes the returned descriptor."""
    descriptor = os.open(folder / ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def is_alive(folder: Path) -> bool:
    """Tell whether a service lives in `folder`."""
    try:
        descriptor = os.open(folder / ALIVE, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def sockets() -> Iterator[Path]:
    """The sockets of all live services of this user."""
    for folder in _all_folders():
        if is_alive(folder):
            yield folder / SOCKET


def sweep() -> list[Path]:
    """Kill the processes and remove the folders of services that are dead; returns those folders."""
    swept = [folder for folder in _all_folders() if not is_alive(folder) and not _is_young(folder)]
    for folder in swept:
        kill_recorded(folder)
        remove(folder)
    return swept


def kill_recorded(folder: Path) -> None:
    """Kill the process groups that the service of `folder` wrote down, as far as they are still the same."""
    try:
        lines = (folder / PROCESSES).read_text().splitlines()
    except OSError:
        return
    for line in lines:
        pid, _, started = line.partition(" ")
        if pid.isdigit() and started and started_at(int(pid)) == started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(int(pid), signal.SIGKILL)


def _all_folders() -> list[Path]:
    base = base_directory()
    try:
        runs = sorted(base.iterdir())
    except FileNotFoundError:
        return []
    return [folder for run in runs for folder in incarnations(run)]


def _is_young(folder: Path) -> bool:
    # A service that is just being started has not locked its folder yet.
    try:
        return time.time() - folder.stat().st_mtime < _YOUNG_SECONDS
    except OSError:
        return True

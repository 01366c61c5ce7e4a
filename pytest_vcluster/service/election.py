"""Finding the run service, or becoming the one who starts it.

The one rule: whoever has the run's lock starts the service and hands the lock on to it; all others try to connect until
somebody answers. So a run has one service at a time, and a service that died is replaced when the next test asks, once
its reaper has let go of the lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pytest_vcluster.errors import LeaseLost, ProvisionError, Timeout
from pytest_vcluster.service import reaper, runs
from pytest_vcluster.service.lock import RunLock
from pytest_vcluster.service.runs import Run
from pytest_vcluster.settings import Settings

_POLL_SECONDS = 0.005
_START_SECONDS = 30.0
_PROGRAM = Path(__file__).with_name("__main__.py")
_LOCK_DESCRIPTOR = 3
_TAIL_BYTES = 4000
# What test runners put there for their own children would change what the service does, or make it write files.
_NOT_INHERITED = ("COV_CORE_", "COVERAGE_", "PYTEST_CURRENT_TEST", "PYTEST_XDIST_", "PYTHONWARNINGS")


def dial(run: Run) -> socket.socket | None:
    """Connect to the run's service; None if there is none."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(os.fspath(run.socket))
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError, ConnectionResetError):
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def begin(run: Run, settings: Settings) -> None:
    """Start the run's service if there is none, and don't wait for it; what goes wrong `connect` will meet as well."""
    with contextlib.suppress(OSError, ProvisionError):
        lock = RunLock.take(run.lock) if run.controller_is_alive() else None
        if lock is not None:
            with contextlib.closing(lock), _or_nothing(run, lock):
                _launch(run, settings, lock)


def connect(run: Run, settings: Settings) -> socket.socket:
    """Connect to the run's service, and start one if there is none.

    Raises LeaseLost if the run is over, ProvisionError if the service can't be started, and Timeout.
    """
    began = time.monotonic()
    while True:
        connection = dial(run)
        if connection is not None:
            return connection
        if not run.controller_is_alive():
            raise LeaseLost(
                f"Run {run.id} is over: its process {run.controller_pid} is gone, so no cluster is started."
            )
        lock = RunLock.take(run.lock)
        if lock is not None:
            try:
                return _start(run, settings, lock)
            finally:
                lock.close()
        if time.monotonic() - began > _START_SECONDS:
            raise Timeout(
                "The run service's start",
                elapsed=_START_SECONDS,
                last_seen=f"{run.lock} is held, and nobody listens at {run.socket}\n{_tail(run.log)}",
            )
        time.sleep(_POLL_SECONDS)


def _start(run: Run, settings: Settings, lock: RunLock) -> socket.socket:
    connection = dial(run)  # somebody may have started it before we got the lock, and ended it: then this is None too
    if connection is not None:
        return connection
    with _or_nothing(run, lock):
        return _answering(run, _launch(run, settings, lock))


def _launch(run: Run, settings: Settings, lock: RunLock) -> int:
    if run.directory.exists():
        runs.clear(run.directory)
    run.directory.mkdir(mode=0o700, exist_ok=True)  # it is there if something of it could not be removed
    config = run.directory / "config.json"
    config.write_text(json.dumps({"run": run.to_json(), "settings": settings.to_json()}))
    return _spawn(run, config, lock)


@contextlib.contextmanager
def _or_nothing(run: Run, lock: RunLock) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        reaper.remove(run.directory)
        reaper.remove_lock(lock.path)
        if not isinstance(error, OSError):
            raise
        raise ProvisionError(
            f"The run service can't be started: {error}.\nChecked: {run.directory}, {sys.executable}.\n"
            "Free some space there, or set TMPDIR to a directory that can be written to."
        ) from error


def _spawn(run: Run, config: Path, lock: RunLock) -> int:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    # Not subprocess: nobody waits for this process, which outlives its parent, and that is no leak to be warned of.
    return os.posix_spawn(
        sys.executable,
        # By its file, for `-m` would look for it first.
        [sys.executable, "-P", str(_PROGRAM), str(config), str(_LOCK_DESCRIPTOR)],
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_DUP2, lock.descriptor, _LOCK_DESCRIPTOR),
        ],
        setsid=True,
    )


def _answering(run: Run, pid: int) -> socket.socket:
    began = time.monotonic()
    while time.monotonic() - began < _START_SECONDS:
        connection = dial(run)
        if connection is not None:
            return connection
        status = exit_status(pid)
        if status is not None:
            raise ProvisionError(
                f"The run service ended with {status} as soon as it was started.\n"
                f"Last lines of its log:\n{_tail(run.log)}\nRun `pytest-vcluster doctor` to check this machine."
            )
        time.sleep(_POLL_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 9)
    raise Timeout("The run service's start", elapsed=_START_SECONDS, last_seen=_tail(run.log))


def exit_status(pid: int) -> int | None:
    """The exit status of a child that has ended; None while it runs, or if it is no child of ours."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def _tail(log: Path) -> str:
    try:
        return log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip() or "(its log is empty)"
    except OSError as error:
        return f"(no log: {error})"

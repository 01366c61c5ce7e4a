"""Who starts the run service: the first worker that needs it, under a lock that the others wait at.

The one rule: a run has one service at a time. One that was killed is replaced by the next worker that asks, in a folder
of its own, so that the old one's remains can be removed meanwhile.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

from pytest_vcluster.errors import ProvisionError, Timeout
from pytest_vcluster.service import runs
from pytest_vcluster.service.protocol import CONFIG, SOCKET, Run
from pytest_vcluster.settings import Settings

LOG = "service.log"
_START_SECONDS = 30.0
_POLL_SECONDS = 0.005


def find_or_start(run: Run, settings: Settings) -> Path:
    """Return the socket of the run's service, starting one if there is none.

    Raises ProvisionError (with the tail of its log) if it ends at once, and Timeout if it does not answer.
    """
    found = _answering(run)
    if found is not None:
        return found
    with runs.election(run.directory):
        found = _answering(run)
        if found is not None:
            return found
        return _start(run, settings)


def _answering(run: Run) -> Path | None:
    for folder in runs.incarnations(run.directory):
        path = folder / SOCKET
        if answers(path):
            return path
    return None


def answers(path: Path) -> bool:
    """Tell whether somebody listens at the socket `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _start(run: Run, settings: Settings) -> Path:
    earlier = runs.incarnations(run.directory)
    folder = run.directory / str(int(earlier[0].name) + 1 if earlier else 0)
    folder.mkdir(mode=0o700, parents=True)
    config = folder / CONFIG
    config.touch(mode=0o600)
    config.write_text(json.dumps({"run": run.to_json(), "settings": settings.to_json()}))
    pid = _spawn(config, folder / LOG)
    began = time.monotonic()
    while time.monotonic() - began < _START_SECONDS:
        if answers(folder / SOCKET):
            return folder / SOCKET
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            raise ProvisionError(
                f"The run service ended at once ({os.waitstatus_to_exitcode(status)}).\n"
                f"Last lines of its log:\n{_tail(folder / LOG)}"
            )
        time.sleep(_POLL_SECONDS)
    os.kill(pid, signal.SIGKILL)
    raise Timeout("The start of the run service", elapsed=_START_SECONDS, last_seen=_tail(folder / LOG) or "no log")


def _spawn(config: Path, log: Path) -> int:
    # Not subprocess.Popen: nobody here is to own, wait for or warn about a process that outlives this one. The service
    # makes itself a session, away from the terminal's Ctrl-C.
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return os.posix_spawn(
            sys.executable,
            # -P: the user's working directory is no place to import the service from.
            [sys.executable, "-P", "-m", "pytest_vcluster.service", str(config)],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, descriptor, 1),
                (os.POSIX_SPAWN_DUP2, descriptor, 2),
            ],
        )
    finally:
        os.close(descriptor)


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    except OSError:
        return ""

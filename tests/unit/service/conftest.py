from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from service_fakes import SETTINGS, Machine, request, worker_command

from pytest_vcluster.service import client


@pytest.fixture
def machine(monkeypatch):
    """A machine with nothing running, and with nothing left at the end, come what may."""
    folder = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))  # short: sockets' paths are limited
    made = Machine(folder, monkeypatch)
    yield made
    for pid in made.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def run(machine):
    """A run of this very process, ended at the end."""
    made = machine.run()
    yield made
    client.shut_down(made, timeout=60)


@pytest.fixture
def open_lease(run):
    """Leases of `run`, released at the end."""
    leases = []

    def opened(wish=None, *, run=run, settings=SETTINGS, timeout=60.0, on_progress=lambda _: None):
        leases.append(client.open_lease(run, settings, wish or request(), timeout=timeout, on_progress=on_progress))
        return leases[-1]

    yield opened
    for lease in leases:
        lease.release()


@pytest.fixture
def start_worker():
    """Processes that lease a cluster and hold it until they read a line."""
    started = []

    def start(run, *, expected=1, command=None):
        popen = subprocess.Popen(
            command or worker_command(run, expected=expected),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(popen)
        return popen

    yield start
    for popen in started:
        popen.kill()
        popen.wait()
        popen.stdin.close()
        popen.stdout.close()

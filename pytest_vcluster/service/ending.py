"""Ending a run: when this returns, no process, socket or directory of it is left.

The one rule: the run's lock tells. Service and reaper hold it until they are gone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

from pytest_vcluster.errors import LeaseLost, Timeout
from pytest_vcluster.service import reaper, runs
from pytest_vcluster.service.channel import Channel
from pytest_vcluster.service.election import dial, exit_status
from pytest_vcluster.service.lock import LockView, RunLock
from pytest_vcluster.service.protocol import ShutDown, Summary
from pytest_vcluster.service.runs import Run

_POLL_SECONDS = 0.002


def shut_down(run: Run, *, timeout: float) -> Mapping[str, object] | None:
    """End the run service, kept clusters included; its last summary, or None if there was none.

    Returns when no process, socket or directory of the run is left; raises Timeout if that takes too long.
    """
    # Opened before: the reaper removes the file, and only then ends.
    with contextlib.closing(LockView(run.lock)) as lock:
        deadline = time.monotonic() + timeout
        totals: Mapping[str, object] | None = None
        pid, told = 0, False
        while True:
            connection = None if told else dial(run)
            if connection is not None:
                told = True
                with contextlib.closing(Channel(connection)) as channel, contextlib.suppress(LeaseLost):
                    pid = channel.service_pid
                    channel.send(ShutDown())
                    answer = channel.answer("The end of the run service", timeout=timeout)
                    totals = answer.totals if isinstance(answer, Summary) else None
            if not lock.is_held():  # neither by the service, which may not listen yet, nor by its reaper
                break
            if time.monotonic() > deadline:
                raise Timeout(
                    "The end of the run service",
                    elapsed=timeout,
                    last_seen=f"{run.lock} is still held",
                    remedy="`pytest-vcluster list` shows what is there.",
                )
            time.sleep(_POLL_SECONDS)
    if pid:
        exit_status(pid)  # no zombie, if it was this process that started it
    _clear(run.directory)
    return totals


def _clear(directory: Path) -> None:
    # Only if service and reaper were both killed is there anything to do here.
    if directory.exists():
        lock = RunLock.take(runs.lock_of(directory))
        if lock is not None:
            runs.clear(directory)
            reaper.remove_lock(lock.path)
            lock.close()

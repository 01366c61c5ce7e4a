"""Whose death ends what: the service follows its run's pytest process, and takes orphaned workers with it.

The one rule: a process id is only ever acted upon while it is still the same process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Iterable

from pytest_vcluster.service.reaper import started_at

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 1.0


async def ended(pid: int) -> None:
    """Wait until process `pid`, which need not be our child, has ended."""
    if hasattr(os, "pidfd_open"):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return
    started = started_at(pid)
    while started and started_at(pid) == started:  # noqa: ASYNC110 - there is nothing to be woken by
        await asyncio.sleep(_POLL_SECONDS)


async def end_orphans(workers: Iterable[tuple[int, str]]) -> None:
    """End the workers (pid and start time) of a pytest process that is no more: nobody receives their results.

    They are asked first (SIGTERM), and killed a second later.
    """
    left = _send(workers, signal.SIGTERM)
    for _ in range(int(_GRACE_SECONDS / _POLL_SECONDS)):
        if not left:
            return
        await asyncio.sleep(_POLL_SECONDS)
        left = [(pid, started) for pid, started in left if started_at(pid) == started]
    _send(left, signal.SIGKILL)


def _send(workers: Iterable[tuple[int, str]], number: signal.Signals) -> list[tuple[int, str]]:
    alive = [(pid, started) for pid, started in workers if started and started_at(pid) == started]
    for pid, _ in alive:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
    return alive


def peer_pid(connection: socket.socket) -> int | None:
    """The process at the other end of a Unix socket as the kernel knows it; None where it does not tell."""
    if hasattr(socket, "SO_PEERCRED"):
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", raw)[0])
    with contextlib.suppress(OSError):
        return int(connection.getsockopt(0, 2))  # SOL_LOCAL, LOCAL_PEERPID of <sys/un.h> on macOS
    return None

"""Learning at once that a process ended which is not our child.

The one rule: never mistaken for another process that has got the same id meanwhile.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from pytest_vcluster.service.reaper import started

_POLL_SECONDS = 0.2


def watch(pid: int, when: str, ended: Callable[[], None]) -> Callable[[], None]:
    """Call `ended` once when the process `pid` that started `when` is no more; returns what stops watching."""
    loop = asyncio.get_running_loop()
    if not hasattr(os, "pidfd_open"):
        return _poll(loop, pid, when, ended)
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return loop.call_soon(ended).cancel
    except OSError:
        return _poll(loop, pid, when, ended)  # a kernel or sandbox without it
    if started(pid) != when:
        os.close(descriptor)
        return loop.call_soon(ended).cancel

    def stop() -> None:
        if loop.remove_reader(descriptor):
            os.close(descriptor)

    def readable() -> None:
        stop()
        ended()

    loop.add_reader(descriptor, readable)
    return stop


def _poll(loop: asyncio.AbstractEventLoop, pid: int, when: str, ended: Callable[[], None]) -> Callable[[], None]:
    async def polling() -> None:
        while started(pid) == when:  # noqa: ASYNC110 - the system has no event for it
            await asyncio.sleep(_POLL_SECONDS)
        ended()

    task = loop.create_task(polling())

    def stop() -> None:
        task.cancel()

    return stop

"""Holding processes still while the state below them is put back.

The one rule: whoever was frozen is thawed, whatever happens in between. A frozen process that nobody thaws (because we
were killed) still dies with SIGKILL, so throwing the cluster away needs no thaw.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class NotFrozen(Exception):
    """A process could not be stopped: it is gone, or not ours."""


@contextmanager
def frozen(pids: Sequence[int]) -> Iterator[None]:
    """Stop the processes `pids` until the context ends; NotFrozen if one of them can't be."""
    stopped = []
    try:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGSTOP)
            except OSError as error:
                raise NotFrozen(f"process {pid} can't be stopped: {error.strerror}") from error
            stopped.append(pid)
        yield
    finally:
        for pid in stopped:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                # It died meanwhile, which its owner notices.
                continue

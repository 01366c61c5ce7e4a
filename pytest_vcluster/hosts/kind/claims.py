"""Taking turns with other runs at a kind cluster that all of them share.

The one rule: the operating system holds the lock, so it ends with its holder. What is written in the locked
file, the claim, tells of a creation that was never finished: who gets the lock and finds one knows its writer is dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from pytest_vcluster.errors import Timeout

_POLL_SECONDS = 0.1


class Claim:
    """The text of a lock file that is held."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def read(self) -> str:
        """What the last holder left."""
        return os.pread(self._descriptor, 4096, 0).decode(errors="replace")

    def write(self, text: str) -> None:
        """Leave `text`."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode(), 0)


@contextlib.asynccontextmanager
async def held(path: Path, *, what: str, progress: Callable[[str], None], seconds: float) -> AsyncIterator[Claim]:
    """Hold the lock at `path`; `what` says in words what others may be doing meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waited = time.monotonic() - began
                if waited > seconds:
                    raise Timeout(
                        f"Another run's {what}",
                        elapsed=waited,
                        last_seen=f"{path} is held",
                        remedy="End that run, or use another name.",
                    ) from None
                progress(f"waiting for another run's {what}")
                await asyncio.sleep(_POLL_SECONDS)
            else:
                break
        yield Claim(path, descriptor)
    finally:
        os.close(descriptor)

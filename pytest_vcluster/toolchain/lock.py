"""One process at a time gets one binary; the others wait, and say for whom.

The one rule: the operating system holds the lock, so it ends with its holder, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock
from filelock import Timeout as LockTimeout

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.toolchain.model import Progress, Sources


@contextlib.contextmanager
def held(sources: Sources, name: str, *, what: str, progress: Progress) -> Iterator[None]:
    """Hold the lock `name` of the cache; `what` says in words what is done under it."""
    folder = sources.cache / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / f"{name}.holder.json"
    lock = FileLock(folder / f"{name}.lock")
    _acquire(lock, note, what=what, sources=sources, progress=progress)
    try:
        note.write_text(json.dumps({"pid": os.getpid(), "since": time.time()}), encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            note.unlink(missing_ok=True)
        lock.release()


def _acquire(lock: FileLock, note: Path, *, what: str, sources: Sources, progress: Progress) -> None:
    started = time.monotonic()
    # The first look is short, so that a person learns at once what is waited for.
    patience = min(0.5, sources.report_seconds)
    while True:
        try:
            lock.acquire(timeout=patience, poll_interval=0.05)
        except LockTimeout:
            waited = time.monotonic() - started
            holder = _holder(note)
            if waited > sources.build_seconds:
                message = (
                    f"Waited {waited:.0f} s for another process to get {what}: {holder} still holds {lock.lock_file}. "
                    "End that process, or set PYTEST_VCLUSTER_CACHE to a folder of your own."
                )
                raise ToolchainError(message) from None
            progress(f"waiting {waited:.0f} s for {holder}, which is getting {what}")
            patience = sources.report_seconds
        else:
            return


def _holder(note: Path) -> str:
    try:
        document = json.loads(note.read_bytes())
        return f"process {int(document['pid'])} (at it for {time.time() - float(document['since']):.0f} s)"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"

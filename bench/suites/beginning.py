"""When a measured suite begins. The one rule: no body before every worker has what no test should pay for."""

from __future__ import annotations

import os
import time
from pathlib import Path

_SECONDS = 120
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def is_first_test() -> bool:
    """Whether this process has not begun yet."""
    return not _mark().exists()


def wait_for_all_workers() -> None:
    """Wait until every worker of the run has called this."""
    _mark().touch()
    deadline = time.monotonic() + _SECONDS
    while (here := len(list(Path().glob("here-*")))) < _WORKERS:
        assert time.monotonic() < deadline, f"only {here} of {_WORKERS} workers had begun after {_SECONDS} s"
        time.sleep(0.005)


def _mark() -> Path:
    return Path(f"here-{os.getpid()}")

"""Carries out the last wills of a run: `python -I -S executor.py`, with one of them as JSON on each line of its input.

The one rule: standard library only, no import of ours; the reaper starts it, and is not to be longer than it is. Its
status says whether all was carried out; what could not be, and why, is on stderr. Trying again does no harm.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_PAUSE_SECONDS = 0.3
_QUIET_LOOKS = 2


def carry_out(will: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep) -> str:
    """Remove what `will` (see `controlplane.last_will`) is about; why that failed, or nothing."""
    if will["claim"] is None:
        return _removed(will, sleep)
    path, text = will["claim"]
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return ""
    try:
        deadline = time.monotonic() + will["seconds"]
        while os.pread(descriptor, 4096, 0).decode(errors="replace") == text:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return f"{path} is held by somebody else"
                sleep(_PAUSE_SECONDS)
            else:
                break
        else:
            return ""  # others have taken over
        # Whoever had the lock may have finished in between.
        if os.pread(descriptor, 4096, 0).decode(errors="replace") != text:
            return ""
        why_not = _removed(will, sleep)
        if not why_not:
            os.ftruncate(descriptor, 0)
        return why_not
    finally:
        os.close(descriptor)


def _removed(will: Mapping[str, Any], sleep: Callable[[float], None]) -> str:
    began = time.monotonic()
    environment = {**os.environ, **will["environment"]}
    looks = 0
    while True:
        patience = will["answer_seconds"]
        found, why_not = _run(will["find"], environment, seconds=patience)
        if not why_not:
            patience = will["seconds"]
            names = found.split()
            looks = 0 if names else looks + 1
            if looks == _QUIET_LOOKS:
                return ""
            if names:
                left = max(1.0, began + patience - time.monotonic())
                _, why_not = _run([*will["remove"], *names], environment, seconds=left)
        if time.monotonic() - began > patience:
            return why_not or f"{' '.join(will['find'])}: something was there again and again"
        sleep(_PAUSE_SECONDS)


def _run(command: Sequence[str], environment: Mapping[str, str], *, seconds: float) -> tuple[str, str]:
    """What `command` printed, and why it failed or nothing."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"{' '.join(command)}: {error}"
    if done.returncode:
        return "", f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}"
    return done.stdout, ""


def main() -> None:
    """Carry out all that the input holds."""
    reasons = [why for line in sys.stdin if (why := carry_out(json.loads(line)))]
    for why in reasons:
        sys.stderr.write(f"last will: {why}\n")
    sys.exit(1 if reasons else 0)


if __name__ == "__main__":
    main()

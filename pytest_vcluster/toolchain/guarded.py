"""Runs `go` and `pip`: long, many processes deep, talkative, and never to be left behind.

The one rule: whatever ends us ends them, at once and as a group. `guard` sees to it when we are killed; when we are
interrupted, leaving `run` does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_GUARD = Path(__file__).with_name("guard.py")
_KEPT_LINES = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended: its exit code, its standard output, the last lines of its standard error."""

    code: int
    output: str
    errors: tuple[str, ...]

    def tail(self, lines: int = 8) -> str:
        """The last lines that explain a failure."""
        return "\n".join(self.errors[-lines:] or self.output.splitlines()[-lines:])


class Overdue(Exception):
    """A command was ended because it took longer than it may."""


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path,
    env: Mapping[str, str],
    limit_seconds: float,
    tick_seconds: float = 4.0,
    on_tick: Callable[[int, float], None] = lambda lines, elapsed: None,
) -> Outcome:
    """Run a command to its end. `on_tick` is told regularly the number of lines on standard error, and the seconds.

    Raises Overdue after `limit_seconds`, OSError when the command can't be started.
    """
    started = time.monotonic()
    errors: deque[str] = deque(maxlen=_KEPT_LINES)
    output: list[str] = []
    count = 0
    with subprocess.Popen(
        [sys.executable, "-I", "-S", _GUARD, *argv],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        stdout, stderr = process.stdout, process.stderr

        def read_errors() -> None:
            nonlocal count
            for line in stderr:
                count += 1
                errors.append(line.rstrip())

        readers = [
            threading.Thread(target=read_errors, daemon=True),
            threading.Thread(target=lambda: output.append(stdout.read()), daemon=True),
        ]
        try:
            for reader in readers:
                reader.start()
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(tick_seconds)
                    break
                elapsed = time.monotonic() - started
                if elapsed > limit_seconds:
                    last = errors[-1] if errors else "nothing"
                    message = f"took more than {limit_seconds:.0f} s; its last words: {last}"
                    raise Overdue(message)
                on_tick(count, elapsed)
        finally:
            # Also after a normal end: nothing of the group may stay, and pipes held open by a stray child would
            # keep the readers waiting.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            for reader in readers:
                reader.join(5)
    return Outcome(code=process.returncode, output="".join(output), errors=tuple(errors))

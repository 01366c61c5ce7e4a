"""Runs one command so that it can't outlive the process that wanted it.

Started as a script, in a session of its own, with a pipe as standard input that its starter keeps open. The one rule:
when that pipe closes, which the operating system sees to however the starter ends, the whole process group is killed,
compilers included. Only the standard library is imported, and nothing of ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(argv: list[str]) -> int:
    """Run `argv`; returns its exit code, negative for a signal as `subprocess` has it."""
    threading.Thread(target=_die_with_starter, daemon=True).start()
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL).wait()


def _die_with_starter() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)

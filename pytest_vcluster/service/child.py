"""The last step before a component runs: bind its life to ours, then become it.

The one rule: standard library only, no import of ours. It runs as `python -I -S child.py PARENT_PID PROGRAM ARG...`
because setting a death signal between fork and exec of a process with threads is not safe, and a fresh interpreter is.

PR_SET_PDEATHSIG fires when the *thread* that forked ends, so components are started from the service's main thread.
Where there is no such call (macOS), the reaper does it alone.
"""

import os
import sys

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def main() -> None:
    """Become the program named on the command line."""
    parent, program = int(sys.argv[1]), sys.argv[2]
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - 10 ms that other systems need not pay

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != parent:  # it died before the call
            raise SystemExit(1)
    try:
        os.execv(program, sys.argv[2:])  # noqa: S606 - no shell is wanted
    except OSError as error:
        raise SystemExit(f"{program} can't be executed: {error}") from error


if __name__ == "__main__":
    main()

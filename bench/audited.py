"""Runs pytest and counts every thread and process that is started on the way: `python -m bench.audited FILE ARG...`.

The one rule: the counting starts before pytest is imported, and uses what Python itself reports
(https://docs.python.org/3/library/audit_events.html), so a thread that has ended already counts as well.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

_PROCESSES = ("os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen")
_THREADS = ("_thread.start_new_thread", "_thread.start_joinable_thread")


def main() -> int:
    """Run pytest with the arguments after the file's name, and write the counts into the file."""
    counts = {"processes": 0, "threads": 0}

    def audit(event: str, _: object) -> None:
        if event in _PROCESSES:
            counts["processes"] += 1
        elif event in _THREADS:
            counts["threads"] += 1

    sys.addaudithook(audit)
    import pytest  # noqa: PLC0415 - counted from here on

    code = pytest.main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(counts), encoding="utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())

"""The words in front of a component's command line that bind its life to ours.

The one rule: a component runs only as long as its parent. A death signal that is set after the parent has died never
comes, so whoever sets it then checks that the parent is still there, and only then becomes the component.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

_CHILD = Path(__file__).with_name("child.py")
_ANSWER_SECONDS = 5.0
# The shell asks for its parent when it starts, which is after setpriv has set the signal.
_IF_PARENT_LIVES = '[ "$PPID" = "$0" ] && exec "$@"'
_IS_SET = re.compile(r"^Parent death signal: (SIG)?KILL$", re.MULTILINE)


def words(parent: int, *, setpriv: str | None) -> list[str]:
    """What to put before a program and its arguments, given what `find_setpriv` found.

    The ways are equal, but for their time: setpriv and a shell take 2 ms, another Python 15 ms.
    """
    if setpriv is not None:
        return [setpriv, "--pdeathsig", "KILL", "--", "/bin/sh", "-c", _IF_PARENT_LIVES, str(parent)]
    return [sys.executable, "-I", "-S", str(_CHILD), str(parent)]


def find_setpriv() -> str | None:
    """Path of a setpriv (util-linux) that can set a death signal; None where there is none (macOS, busybox)."""
    found = shutil.which("setpriv") if sys.platform == "linux" else None
    if found is None:
        return None
    try:
        told = subprocess.run(
            [found, "--pdeathsig", "KILL", "--", found, "--dump"],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if _IS_SET.search(told.stdout) else None

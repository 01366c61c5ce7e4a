"""The lock of a run: whoever holds it is the run's service, is just becoming it, or is cleaning up after it.

The one rule: it belongs to an open file and not to a process, so it passes from the client that starts the service to
the service and on to its reaper without ever being free in between. The file lies beside the run's directory and is
removed by the holder; a lock on a file that is no longer at its path is none.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from pathlib import Path

from pytest_vcluster.errors import ProvisionError

_LOWEST_DESCRIPTOR = 10  # above those that a started program gets under fixed numbers


class RunLock:
    """A lock that is held; made by `take`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> RunLock | None:
        """Take the lock at `path` if it is free, else return None; never waits."""
        while True:
            make_base(path.parent)
            try:
                opened = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                continue  # the last run removed the base directory in between
            except OSError as error:
                raise _unusable(path.parent, error) from error
            descriptor = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, _LOWEST_DESCRIPTOR)
            os.close(opened)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            if is_at(descriptor, path):
                return cls(path, descriptor)
            os.close(descriptor)

    def close(self) -> None:
        """Let go of this process's share; who inherited the lock still holds it."""
        os.close(self.descriptor)


def is_at(descriptor: int, path: Path) -> bool:
    """Whether `descriptor` is the file that is at `path` now."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock at `path`."""
    with contextlib.closing(LockView(path)) as view:
        return view.is_held()


class LockView:
    """A look at a lock from before its file may be removed: `is_held` tells of that file, whatever its path is now."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            self._descriptor = -1

    def is_held(self) -> bool:
        """Whether somebody holds the lock."""
        if self._descriptor < 0:
            return False
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        return False

    def close(self) -> None:
        """Look no longer."""
        if self._descriptor >= 0:
            os.close(self._descriptor)


def make_base(base: Path) -> None:
    """Make the directory of all runs of this user; ProvisionError if it is somebody else's, or can't be made."""
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = base.lstat()
    except FileNotFoundError:
        return  # just removed by the last run; the caller will notice
    except OSError as error:
        raise _unusable(base, error) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ProvisionError(
            f"{base} is not this user's directory, so keys can't be stored below it.\n"
            "Remove it, or set TMPDIR to a directory of your own."
        )


def _unusable(base: Path, error: OSError) -> ProvisionError:
    return ProvisionError(
        f"A test run's directory can't be made below {base}: {error.strerror}.\n"
        "Free some space there, or set TMPDIR to a directory that can be written to."
    )

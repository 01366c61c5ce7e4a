"""Why a way of getting a binary did not work, and the wording of what the user reads about it.

Each way raises one of the classes here; `supply` tells from the class whether to go on to the next way, to try an
earlier patch release, or to give up. The one rule: whatever leaves this package is a plain `ToolchainError` that says
what was tried and what to do.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vcluster.errors import ToolchainError

if TYPE_CHECKING:
    from pytest_vcluster.toolchain.model import Wanted

CACHE_OPTION = (
    "The folder is $PYTEST_VCLUSTER_CACHE, else $XDG_CACHE_HOME/pytest-vcluster, else ~/.cache/pytest-vcluster: "
    "set PYTEST_VCLUSTER_CACHE (or XDG_CACHE_HOME) to one that"
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class WayFailed(Exception):
    """One way of getting a binary does not work here; the text says why."""


class Missing(WayFailed):
    """Asked and answered: there is no such version there."""


class Unreachable(WayFailed):
    """A site does not answer; said once when that is found out, not for each thing asked of it."""


class Nowhere(ToolchainError):
    """Every way was tried; `missing` tells that the version does not exist as far as anybody answered."""

    def __init__(self, message: str, *, missing: bool) -> None:
        self.missing = missing
        super().__init__(message)

    @classmethod
    def of(cls, wanted: Wanted, attempts: Sequence[tuple[str, WayFailed]]) -> Nowhere:
        """`wanted` could not be had in any of the ways of `attempts`."""
        missing = any(isinstance(failure, Missing) for _, failure in attempts)
        tried = "\n".join(f"  - {way}: {failure}" for way, failure in attempts)
        if missing:
            remedy = "Check that this patch release exists, ask for a bare minor, or name your own binary by {env}."
        else:
            remedy = "Put that right, or name your own binary by {env} or KUBEBUILDER_ASSETS."
        text = f"{wanted} can't be had. Tried:\n{tried}\n{remedy.format(env=variable(wanted.component))}"
        return cls(text, missing=missing)


def lacking_offline(lacking: Sequence[tuple[Wanted, Sequence[str]]]) -> ToolchainError:
    """The error of an offline run: every binary lacking, with every place looked."""
    parts = []
    for wanted, places in lacking:
        looked = "\n".join(f"    - {place}" for place in places)
        parts.append(f"  {wanted}, looked at:\n{looked}")
    return ToolchainError(
        "Binaries are lacking, and this run is offline (--vcluster-offline):\n"
        + "\n".join(parts)
        + "\nRun once without --vcluster-offline, or `pytest-vcluster fetch` ahead of time, or copy the cache folder "
        "from a machine that has them."
    )


def variable(component: str) -> str:
    """The environment variable that names one's own binary of `component`."""
    return "TEST_ASSET_" + component.upper().replace("-", "_")


def disk_full(cache: Path, detail: str) -> ToolchainError:
    """The disk of the cache folder is full."""
    return ToolchainError(f"No space left on the disk of the cache folder {cache} ({detail}). {CACHE_OPTION} has room.")


@contextlib.contextmanager
def cache_trouble(cache: Path) -> Iterator[None]:
    """Turn a full disk and an unwritable cache folder into the one error that tells what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full(cache, f"{error.strerror}: {error.filename or cache}") from error
        seen = f"{error.strerror or error}: {error.filename or cache}"
        message = f"Can't use the cache folder {cache} ({seen}). {CACHE_OPTION} is writable."
        raise ToolchainError(message) from error

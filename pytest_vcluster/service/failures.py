"""What those who wait are told when something goes wrong.

The one rule: what they get is an error for users, with what to do about it.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from pytest_vcluster.errors import LeaseLost, ProvisionError, VClusterError
from pytest_vcluster.service.backplane import DeathOf


def as_ours(error: Exception) -> VClusterError:
    """The error itself if it is one for users, else one that they can make sense of."""
    if isinstance(error, VClusterError):
        return error
    text = f"A virtual cluster could not be made: {type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        text += "\nFree some space, or set TMPDIR (and XDG_CACHE_HOME) to a file system that has some."
    return ProvisionError(text)


def spell(deaths: Sequence[DeathOf]) -> str:
    """Deaths as people read them."""
    return "\n".join(f"{death.component} died ({death.status}):\n{death.tail}" for death in deaths)


def ending() -> LeaseLost:
    """What those get who ask when all is over."""
    return LeaseLost("The run service ends, so there are no more clusters.")

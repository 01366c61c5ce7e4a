"""How a pass over a key can end.

The one rule: an outcome is a value. The controller says what happened; what to do about it is the queue's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do until something changes."""


@dataclass(frozen=True, slots=True)
class Later:
    """Not a failure: look again after so many seconds, or when something changes."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Stale:
    """Memory was behind: look again in a moment, without noise."""

    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Try again with backoff, or exactly after what the server asked for; what changes meanwhile has to wait too."""

    why: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """It can't be done as things are, the user was told: no retry until something changes."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A server would not do it, and nobody was told yet: it may be about to change its mind.

    A cluster IP is free a moment after its Service is gone, rights and quotas a moment after they were granted.
    """

    message: str
    """The server's reason, in the virtual cluster's words."""
    may_pass: bool
    """It depends on more than the object."""


Outcome: TypeAlias = Done | Later | Stale | Failed | Refused
Verdict: TypeAlias = Outcome | Rejected

DONE = Done()

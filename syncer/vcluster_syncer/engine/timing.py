"""Every duration of the engine, in seconds, in one place.

The one rule: nothing in the engine waits for a time that is not written here, so a test can make all of them short.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after the n-th failure in a row: doubling, with jitter so that many don't come back at once."""

    first: float
    longest: float

    def after(self, failures: int, *, jitter: random.Random) -> float:
        """Seconds to wait after `failures` (1 or more) failures in a row."""
        # 2 ** 30 is long past any `longest`; without a bound the power would become a huge integer.
        full = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return full * jitter.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """All durations, and the bounds that belong to them."""

    request: float = 30.0
    """How long one request may take."""
    failed: Backoff = Backoff(first=0.1, longest=30.0)
    """Between attempts at a key whose last attempt failed."""
    stale: Backoff = Backoff(first=0.005, longest=2.0)
    """Between attempts at a key whose state was not what memory said; the watch usually brings the truth sooner."""
    reconnect: Backoff = Backoff(first=0.05, longest=15.0)
    """Between attempts at a watch that fails."""
    absent: float = 3.0
    """Between questions for a collection that a server does not have, but may get: its definition is not there."""
    watch: int = 480
    """How long one watch request lasts before it is made anew; each takes 1 to 1.5 times that."""
    silence: float = 75.0
    """A watch on which not even a bookmark came for so long is taken for dead. The server sends one a minute, except
    where nothing ever happened; there the price is one watch request per interval."""
    steady: float = 5.0
    """A watch that lived so long has recovered: its failures are forgotten."""
    patrol: float = 120.0
    """Between full comparisons of memory with the servers; each waits 0.9 to 1.1 times that."""
    synced: float = 60.0
    """How long a new tenant may take until its lists are read."""
    contests: int = 8
    """So often a tenant asks for room while others do."""
    contested: Backoff = Backoff(first=0.1, longest=2.0)
    """Between its questions."""
    settled: float = 10.0
    """How long a new tenant may take to look at everything once before it is reported ready all the same."""
    restart: Backoff = Backoff(first=1.0, longest=60.0)
    """Between attempts at a tenant in which the engine itself failed."""
    workers: int = 24
    """How many keys of one tenant are worked on at a time."""
    beginning: int = 12
    """So many of them may be at keys of which nothing is on the host yet: what these ask of the servers makes the
    status of all others wait there."""
    doubts: int = 3
    """So often a server's refusal is doubted, with the pauses of `failed`, before the user is told of it."""
    fight_passes: int = 100
    """So many passes over one key, each of which wrote something, within `fight_window`, is a fight with somebody."""
    fight_window: float = 10.0
    fight_pause: float = 2.0
    """How long a key rests after a fight, so that two writers of one field can't burn a CPU."""

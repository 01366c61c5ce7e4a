"""The order in which keys that are ready are worked on: first come, first served, but some go first and some can wait.

What users wait for (a pod's status) must not stand behind what is only to begin (other pods), nor behind what they read
afterwards (events). The one rule: nobody waits for ever; now and then it is the turn of those who stand back, whoever
else is there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from itertools import chain
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_TURNS = (1, 4, 16)
"""Of so many keys that are taken one is of each line's, if somebody is there: of those who go first, of most, of those
who can wait."""


def nobody(_key: object) -> bool:
    """Say of every key that it is like all others."""
    return False


class Line(Generic[K]):
    """Keys in line, each at most once; `can_wait` tells who stands back, `goes_first` who does not stand at all."""

    def __init__(self, can_wait: Callable[[K], bool] = nobody, goes_first: Callable[[K], bool] = nobody) -> None:
        self._can_wait = can_wait
        self._goes_first = goes_first
        self._lines: tuple[dict[K, None], ...] = ({}, {}, {})
        self._taken = 0

    def __len__(self) -> int:
        return sum(map(len, self._lines))

    def __iter__(self) -> Iterator[K]:
        return chain(*self._lines)

    def __contains__(self, key: object) -> bool:
        return any(key in line for line in self._lines)

    @property
    def has_first(self) -> bool:
        """Whether somebody is there who goes first."""
        return bool(self._lines[0])

    def add(self, key: K) -> None:
        """Put a key at the end of its line; one that is there keeps its place, unless it may go further ahead now."""
        new = self._number(key)
        for number, line in enumerate(self._lines):
            if key in line:
                if number <= new:
                    return
                del line[key]
        self._lines[new][key] = None

    def take(self, *, first_only: bool = False) -> K:
        """Take the next one, or the next of those who go first; StopIteration if nobody is there."""
        self._taken += 1
        line = self._lines[0] if first_only else self._next()
        key = next(iter(line))
        del line[key]
        return key

    def clear(self) -> None:
        """Send everybody away."""
        for line in self._lines:
            line.clear()

    def _number(self, key: K) -> int:
        if self._can_wait(key):
            return 2
        return 0 if self._goes_first(key) else 1

    def _next(self) -> dict[K, None]:
        for line, turn in zip(reversed(self._lines), reversed(_TURNS), strict=True):
            if line and self._taken % turn == 0:
                return line
        return next((line for line in self._lines if line), self._lines[0])

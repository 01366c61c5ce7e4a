"""The order in which keys that are ready are worked on: first come, first served, but some can wait.

What users wait for (a pod's status) must not stand behind what they read afterwards (events). The one rule: nobody
waits for ever; now and then it is the turn of those who can wait, whoever else is there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_TURN = 16
"""Of so many keys that are taken one is of those that can wait."""


class Line(Generic[K]):
    """Keys in line, each at most once; `can_wait` tells who stands back."""

    def __init__(self, can_wait: Callable[[K], bool]) -> None:
        self._can_wait = can_wait
        self._front: dict[K, None] = {}
        self._back: dict[K, None] = {}
        self._taken = 0

    def __len__(self) -> int:
        return len(self._front) + len(self._back)

    def __iter__(self) -> Iterator[K]:
        yield from self._front
        yield from self._back

    def __contains__(self, key: object) -> bool:
        return key in self._front or key in self._back

    def add(self, key: K) -> None:
        """Put a key at the end, unless it stands in line already."""
        line = self._back if self._can_wait(key) else self._front
        line[key] = None

    def take(self) -> K:
        """Take the next one; StopIteration if nobody is there."""
        self._taken += 1
        is_their_turn = self._back and self._taken % _TURN == 0
        line = self._back if is_their_turn or not self._front else self._front
        key = next(iter(line))
        del line[key]
        return key

    def clear(self) -> None:
        """Send everybody away."""
        self._front.clear()
        self._back.clear()

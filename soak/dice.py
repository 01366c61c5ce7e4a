"""Chance that follows from a seed.

The one rule: names come out of a small vocabulary, so that leases meet under the same names again and again: what a
lease left in a cache is found by the next one that uses the name for something else.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

_Any = TypeVar("_Any")
_WORDS = ("web", "db", "cache", "queue", "shop", "cart", "mail", "auth", "feed", "grid")
_KEYS = ("app", "tier", "example.org/part", "app.kubernetes.io/name", "release")
_VALUES = ("a", "b", "front", "back", "v1", "v2", "")
_LETTERS = "abcdefghijklmnopqrstuvwxyz 0123456789-_./:äß\n"


class Dice:
    """Random values of the shapes that Kubernetes objects are made of."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a test's chance, to be repeated

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self._random.random() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return self._random.randint(low, high)

    def seconds(self, low: float, high: float) -> float:
        """A time."""
        return round(self._random.uniform(low, high), 3)

    def pick(self, choices: Sequence[_Any]) -> _Any:
        """One of them."""
        return self._random.choice(choices)

    def weighted(self, choices: Sequence[_Any], weights: Sequence[int]) -> _Any:
        """One of them, the heavier the more often."""
        return self._random.choices(choices, weights)[0]

    def some(self, choices: Sequence[_Any], *, low: int = 1, high: int | None = None) -> list[_Any]:
        """A few different ones of them."""
        most = len(choices) if high is None else min(high, len(choices))
        return self._random.sample(choices, self.between(min(low, most), most))

    def word(self) -> str:
        """One word of the vocabulary."""
        return self.pick(_WORDS)

    def name(self) -> str:
        """A name for an object: one of 60."""
        return f"{self.word()}-{self.between(0, 5)}"

    def labels(self) -> dict[str, str]:
        """Up to three labels."""
        return {key: self.pick(_VALUES) for key in self.some(_KEYS, low=0, high=3)}

    def selector(self) -> dict[str, str]:
        """One label that is not empty."""
        return {self.pick(_KEYS): self.pick(_VALUES[:-1])}

    def text(self, most: int = 60) -> str:
        """Any text."""
        return "".join(self.pick(_LETTERS) for _ in range(self.between(0, most)))

    def data(self) -> dict[str, str]:
        """What a ConfigMap may hold."""
        return {f"{self.word()}.{suffix}": self.text() for suffix in self.some(("txt", "yaml", "conf", "key"), low=0)}

    def maybe(self, probability: float, **values: object) -> Mapping[str, object]:
        """These values, or none."""
        return values if self.chance(probability) else {}

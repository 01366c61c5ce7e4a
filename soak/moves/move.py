"""What a move is: a few steps that belong together, with a weight.

The one rule: a move asks for what it says, and performs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from soak.model import Step
from soak.world import World

Make = Callable[[World], list[Step]]


@dataclass(frozen=True, slots=True)
class Move:
    """One kind of thing that a lease may do, and how often it does."""

    name: str
    weight: int
    make: Make
    rough: bool = False
    """Takes away what a cluster can hardly be without; few leases do such things."""

    def __call__(self, world: World) -> list[Step]:
        """Its steps; those of a move within a move count as the outer one's."""
        outer, world.move = world.move, world.move or self.name
        try:
            return self.make(world)
        finally:
            world.move = outer


def move(weight: int, *, rough: bool = False) -> Callable[[Make], Move]:
    """Make a move of a function, by its name."""
    return lambda make: Move(make.__name__, weight, make, rough)

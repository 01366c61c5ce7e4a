"""What a lease does to its cluster, as data.

The one rule: a scenario is a value; it follows from its seed, and performing it twice asks for the same things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"

NUMBER = "@number@"
"""In a step's path and body: the number of the repetition."""
SERVICE_ADDRESS = "@service-address-%d@"
"""In a step's body: the address at this place of the cluster's Service range, which differs from cluster to cluster."""

WATCH = "WATCH"
"""Instead of a method: open a watch of the path, and hold it until the cluster is gone."""
PAUSE = "PAUSE"
"""Instead of a method: let the controllers work for `seconds`."""
USE = "USE"
"""Instead of a method: wait until the CustomResourceDefinition named by the path is served and writable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request, or one of the three other things that a lease does."""

    move: str
    """The name of the move that this step is of."""
    method: str
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    content_type: str = JSON
    times: int = 1
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that one lease does: lanes beside each other, the steps of a lane one after the other."""

    seed: int
    lanes: tuple[tuple[Step, ...], ...]
    hammers: tuple[tuple[Step, ...], ...] = ()
    """What threads repeat, with numbers that go up, until they are cut off."""
    lively: bool = False
    """Whether the cluster must show first that it is alive."""
    cut_after: float | None = None
    """Seconds after which the lease is released whatever goes on; None: when all lanes are done."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps of all lanes and hammers."""
        return tuple(step for lane in (*self.lanes, *self.hammers) for step in lane)

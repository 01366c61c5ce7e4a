"""All moves that a lease may make, by what they are about.

The one rule: a new kind of mischief is a new function here; the generator knows none by name.
"""

from soak.moves import access, admission, baseline, churn, core, definitions, network, storage, workloads
from soak.moves.churn import RARE
from soak.moves.move import Move

MOVES: tuple[Move, ...] = (
    *core.MOVES,
    *workloads.MOVES,
    *network.MOVES,
    *storage.MOVES,
    *access.MOVES,
    *admission.MOVES,
    *definitions.MOVES,
    *baseline.MOVES,
    *churn.MOVES,
)

__all__ = ["MOVES", "RARE", "Move"]

"""What is to be removed when nobody of a run is left to do it: as data, for things that don't die with their processes.

The one rule: it is handed over before the thing is made, so there is no moment in which the thing has no heir. Whoever
carries it out (`service/executor.py`) is no part of the run and knows nothing but this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWill:
    """`find` is a command that prints what is there, a word each; `remove` is given these words as further arguments.

    They take turns until nothing is found any more: what was being made at the end may appear a moment later.
    """

    find: tuple[str, ...]
    remove: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to that of whoever carries it out."""
    claim: tuple[Path, str] | None = None
    """A file and a text: the will is void unless the file still holds the text. It is read and emptied under the
    file's lock, so that nobody removes what others have made anew."""
    seconds: float = 60.0
    """How long to try."""
    answer_seconds: float = 10.0
    """How long to try if `find` can't even tell what is there."""

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {
            "find": list(self.find),
            "remove": list(self.remove),
            "environment": dict(self.environment),
            "claim": None if self.claim is None else [str(self.claim[0]), self.claim[1]],
            "seconds": self.seconds,
            "answer_seconds": self.answer_seconds,
        }

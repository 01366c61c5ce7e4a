"""What the run service did, in numbers: the source of the summary at the end of a run.

The one rule: it only counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Statistics:
    """Counts of one run service."""

    host: str
    versions: list[str]
    pool: int
    retired: int = 0
    recycled: int = 0
    deaths: int = 0
    acquire_seconds: list[float] = field(default_factory=list)
    prepare_seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def acquired(self, seconds: float) -> None:
        """A test got its cluster after `seconds` of waiting."""
        self.acquire_seconds.append(round(seconds, 6))

    def prepared(self, seconds: float) -> None:
        """A cluster became ready `seconds` after its start."""
        self.prepare_seconds.append(round(seconds, 6))

    def note(self, text: str) -> None:
        """Something worth telling once."""
        if text and text not in self.notes:
            self.notes.append(text)

    def to_json(self) -> dict[str, Any]:
        """As plain data, in the summary's words."""
        return {
            "host": self.host,
            "versions": list(self.versions),
            "pool": self.pool,
            "leases": len(self.acquire_seconds),
            "fresh": len(self.prepare_seconds),
            "recycled": self.recycled,
            "retired": self.retired,
            "deaths": self.deaths,
            "acquire_seconds": list(self.acquire_seconds),
            "prepare_seconds": list(self.prepare_seconds),
            "notes": list(self.notes),
        }

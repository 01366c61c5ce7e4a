"""What a run used, counted for the summary that people read at its end.

The one rule: it only counts; nothing is decided by these numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class Statistics:
    """Counters of one run service."""

    host: str
    pool: int
    leases: int = 0
    fresh: int = 0
    recycled: int = 0
    retired: int = 0
    deaths: int = 0
    peak: int = 0
    acquire_seconds: list[float] = field(default_factory=list)
    prepare_seconds: list[float] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    retirements: dict[str, int] = field(default_factory=dict)
    """Why clusters could not be recycled, and how often."""
    differences: list[str] = field(default_factory=list)
    """What recycling did not put back, found by comparison; a defect."""
    notes: list[str] = field(default_factory=list)

    def prepared(self, seconds: float) -> None:
        """Count a cluster that got ready."""
        self.fresh += 1
        self.prepare_seconds.append(round(seconds, 4))

    def granted(self, version: str, seconds: float) -> None:
        """Count a lease that was granted `seconds` after somebody asked for it."""
        self.leases += 1
        self.acquire_seconds.append(round(seconds, 4))
        if version not in self.versions:
            self.versions.append(version)

    def not_recycled(self, reason: str) -> None:
        """Count a cluster that could not be put back, with the reason."""
        self.retirements[reason] = self.retirements.get(reason, 0) + 1

    def note(self, text: str) -> None:
        """Remember something that people should know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def summary(self) -> dict[str, Any]:
        """All of it as plain data. `pool` is the limit, `peak` how many clusters there were at once."""
        return {
            "leases": self.leases,
            "fresh": self.fresh,
            "recycled": self.recycled,
            "retired": self.retired,
            "differences": list(self.differences),
            "retirements": dict(self.retirements),
            "deaths": self.deaths,
            "acquire_seconds": list(self.acquire_seconds),
            "prepare_seconds": list(self.prepare_seconds),
            "versions": sorted(self.versions),
            "pool": self.pool,
            "peak": self.peak,
            "host": self.host,
            "notes": list(self.notes),
        }

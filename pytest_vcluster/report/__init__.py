"""The report page of a run: one HTML file that needs nothing beside it.

This module holds the values the page is made of, and is cheap to import; the page is in `page`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One test that had clusters: its outcome, and a record (see `failures.record`) of each cluster."""

    test: str
    outcome: str
    seconds: float
    clusters: tuple[Mapping[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "test": self.test,
            "outcome": self.outcome,
            "seconds": self.seconds,
            "clusters": [dict(cluster) for cluster in self.clusters],
        }

"""The words of a benchmark as values: what is measured, by whom, and what came out.

The one rule: no I/O here. A figure is stored in the unit it is shown in.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_vcluster.toolchain import Component, Sources


class NotMeasured(Exception):
    """A contender can't take part here; the text says why, and is shown in its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One row of the table."""

    name: str
    unit: str
    """`s`, `ms`, `MB`, `%`, `/s`, `x` for a quotient or `` for a count."""
    base: str | None = None
    """The metric whose median this one's is divided by."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """What it is made of, if that was measured too: a word for each part, and the metric that has its figures."""


Samples = Mapping[str, Sequence[float]]
"""What one turn of a contender brought: figures by metric name."""

Once = Callable[[], Samples]
"""One turn of a contender; raises NotMeasured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all contenders of a run share: the binaries, a folder, how much time there is."""

    version: str
    """The full Kubernetes version."""
    sources: Sources
    binaries: Mapping[Component, Path]
    directory: Path
    """Short (Unix sockets are made below it) and removed at the end."""
    repository: Path
    quick: bool
    progress: Callable[[str], None]

    def folder(self, name: str) -> Path:
        """An empty folder of the caller's own."""
        path = self.directory / name
        path.mkdir()
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """Something that is measured: a name to ask for it by, its rows, and how to take a turn."""

    name: str
    about: str
    metrics: tuple[Metric, ...]
    opened: Callable[[Ground], AbstractContextManager[Once]]
    """Makes everything ready that is not to be measured; raises NotMeasured."""
    most_rounds: int | None = None
    """Turns enough where the figures hardly vary, or bring many samples at once."""


@dataclass(slots=True, kw_only=True)
class Results:
    """All figures of a run, and the reasons for those that are missing."""

    samples: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Reasons by contender name."""

    def add(self, turn: Samples) -> None:
        """Take in what one turn brought."""
        for name, figures in turn.items():
            self.samples.setdefault(name, []).extend(figures)

    def median(self, metric: str) -> float | None:
        """The median of a metric; None when it was not measured."""
        figures = self.samples.get(metric)
        return statistics.median(figures) if figures else None

    def percentile(self, metric: str, percent: float) -> float | None:
        """The figure that `percent` of all figures don't exceed (nearest rank); None when it was not measured."""
        figures = sorted(self.samples.get(metric, ()))
        return figures[max(0, math.ceil(len(figures) * percent / 100) - 1)] if figures else None

    def largest(self, metric: str) -> float | None:
        """The largest figure of a metric; None when it was not measured."""
        figures = self.samples.get(metric)
        return max(figures) if figures else None

    def ratio(self, metric: str, base: str | None) -> float | None:
        """The ratio of two medians; None when one is missing or nothing."""
        above, below = self.median(metric), self.median(base) if base else None
        return above / below if above is not None and below else None

    def foremost(self, metric: Metric) -> tuple[str, float] | None:
        """The part with the greatest median, and that median; None where no part was measured."""
        medians = {word: median for word, name in metric.parts.items() if (median := self.median(name)) is not None}
        return max(medians.items(), key=lambda each: each[1]) if medians else None

    def to_json(self, metrics: Sequence[Metric]) -> dict[str, Any]:
        """All that was measured, by metric name."""
        return {metric.name: self._metric_to_json(metric) for metric in metrics if self.samples.get(metric.name)}

    def _metric_to_json(self, metric: Metric) -> dict[str, Any]:
        figures = self.samples[metric.name]
        document: dict[str, Any] = {
            "unit": metric.unit,
            "median": statistics.median(figures),
            "min": min(figures),
            "max": max(figures),
            "p99": self.percentile(metric.name, 99),
            "samples": figures,
        }
        if metric.base:
            document |= {"base": metric.base, "ratio": self.ratio(metric.name, metric.base)}
        if parts := {word: self.samples[name] for word, name in metric.parts.items() if name in self.samples}:
            document["parts"] = parts
        return document

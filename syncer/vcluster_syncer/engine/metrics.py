"""What the syncer has done so far, in numbers, and their spelling for Prometheus.

Written by hand because it is two sorts of numbers and one text format, which is less than a client library would need
to be told, and one dependency less in everybody's test environment. The one rule: a number here only grows, whatever
tenants come and go; what goes up and down is read from whoever has it when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "vcluster_syncer_"

# In seconds. Half of all changes are carried within the first three.
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Counter:
    """Numbers that only grow, one for each combination of label values."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name = f"{PREFIX}{name}"
        self._about = about
        self._labels = labels
        self._values: dict[tuple[str, ...], float] = {}

    def add(self, *values: str) -> None:
        """Count one more."""
        self._values[values] = self._values.get(values, 0.0) + 1

    def get(self, *values: str) -> float:
        """How many there were."""
        return self._values.get(values, 0.0)

    def lines(self) -> Iterator[str]:
        """Spell it."""
        rows = ((dict(zip(self._labels, values, strict=True)), value) for values, value in self._values.items())
        return lines(self.name, "counter", self._about, rows)


class Histogram:
    """How often something took how long, for each combination of label values."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name = f"{PREFIX}{name}"
        self._about = about
        self._labels = labels
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, seconds: float, *values: str) -> None:
        """Take in one duration."""
        counts = self._counts.setdefault(values, [0] * (len(_BOUNDS) + 1))
        counts[bisect_left(_BOUNDS, seconds)] += 1
        self._sums[values] = self._sums.get(values, 0.0) + seconds

    def count(self, *values: str) -> int:
        """How many durations there were."""
        return sum(self._counts.get(values, ()))

    def lines(self) -> Iterator[str]:
        """Spell it."""
        yield from lines(self.name, "histogram", self._about, ())
        for values, counts in self._counts.items():
            labels = dict(zip(self._labels, values, strict=True))
            total = 0
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), counts, strict=True):
                total += count
                yield line(f"{self.name}_bucket", {**labels, "le": bound}, total)
            yield line(f"{self.name}_sum", labels, self._sums[values])
            yield line(f"{self.name}_count", labels, total)


class Metrics:
    """All that is counted."""

    def __init__(self) -> None:
        self.passes = Counter("passes_total", "Looks at one object's two sides.", "kind")
        self.conflicts = Counter(
            "conflicts_total", "Passes that met an object in another state than remembered, and were repeated.", "kind"
        )
        self.errors = Counter("errors_total", "Passes that failed and are repeated with backoff.", "kind")
        self.refusals = Counter("refusals_total", "Objects that can't be carried as they are; users were told.", "kind")
        self.watch_restarts = Counter(
            "watch_restarts_total",
            "Watches that ended otherwise than agreed, by side and what they watch.",
            "side",
            "kind",
        )
        self.tenant_failures = Counter("tenant_failures_total", "Times that a whole tenant was started again.")
        self.sync_seconds = Histogram(
            "sync_seconds",
            "From seeing a change of an object on one side until the other side was written.",
            "kind",
            "direction",
        )

    def text(self) -> Iterator[str]:
        """Spell all of them."""
        for each in vars(self).values():
            yield from each.lines()


def lines(name: str, sort: str, about: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> Iterator[str]:
    """Spell one metric: what it is, and its values by label."""
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {sort}"
    for labels, value in rows:
        yield line(name, labels, value)


def line(name: str, labels: Mapping[str, str], value: float) -> str:
    """Spell one value."""
    spelt = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    number = str(int(value)) if value == int(value) else repr(value)
    return f"{name}{{{spelt}}} {number}" if spelt else f"{name} {number}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

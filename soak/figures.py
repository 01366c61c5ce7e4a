"""What a soak tells of itself: numbers, and lines made of them.

The one rule: pure; what has been seen comes in, text goes out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_LINES = 60
_MOST_MOVES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """One lease, when it is over."""

    number: int
    seed: int
    version: str
    cluster: str
    before: tuple[int, ...]
    """Seeds of the leases that had the cluster before, the latest last."""
    waited_seconds: float
    held_seconds: float = 0.0
    differences: tuple[str, ...] = ()
    lasting: bool = True
    """Whether the differences were the same after a while."""
    known: int = 0
    """How many more there were that this cluster was seen with before."""
    error: str = ""
    deaths: tuple[str, ...] = ()
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)


@dataclass(slots=True)
class Figures:
    """All leases of a soak."""

    leases: list[Leased] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether anything was found that should not be."""
        return any(lease.differences or lease.error for lease in self.leases)

    def line(self, totals: Mapping[str, Any] | None) -> str:
        """Where the soak is."""
        waits = [lease.waited_seconds for lease in self.leases]
        again = sum(bool(lease.known) and not lease.differences for lease in self.leases)
        return (
            f"{len(self.leases):6} leases: {_of(totals, 'recycled')} recycled, {_of(totals, 'retired')} retired, "
            f"{sum(bool(lease.differences) for lease in self.leases)} differed"
            f"{f' ({again} still)' if again else ''}, "
            f"{sum(bool(lease.error) for lease in self.leases)} failed, "
            f"{sum(bool(lease.deaths) for lease in self.leases)} lost a process; "
            f"waited p50 {milliseconds(quantile(waits, 0.5))}, p99 {milliseconds(quantile(waits, 0.99))}"
        )

    def summary(self, totals: Mapping[str, Any] | None) -> str:
        """What is told at the end."""
        lines = [self.line(totals)]
        again = [lease.waited_seconds for lease in self.leases if lease.before]
        first = [lease.waited_seconds for lease in self.leases if not lease.before]
        lines += [
            f"waited for {name} cluster: {spread(waits)}"
            for name, waits in (("a recycled", again), ("a fresh", first))
            if waits
        ]
        lines.append(f"held: {spread([lease.held_seconds for lease in self.leases])}")
        lines += reasons((totals or {}).get("retirements") or {})
        lines += [f"the run service notes: {note}" for note in (totals or {}).get("notes") or ()]
        answers: Counter[tuple[str, str]] = Counter()
        for lease in self.leases:
            answers.update(lease.answers)
        lines.append(f"answers: {_counted(Counter(_sum(answers, 1)))}")
        if never := never_done(answers):
            lines.append(f"never done: {', '.join(never[:_MOST_MOVES])}")
        seeds = [str(lease.seed) for lease in self.leases if lease.differences or lease.error]
        lines.append(f"FAILED at {', '.join(seeds)}" if seeds else "no differences")
        return "\n".join(lines)


def failure(lease: Leased) -> str:
    """What is told of a lease that failed, at once."""
    lines = [f"lease {lease.number} (seed {lease.seed}, {lease.version}) of {lease.cluster}:"]
    if lease.error:
        lines.append(f"  {lease.error}")
    if lease.differences:
        how = "still there a second later" if lease.lasting else "GONE or changed a second later"
        lines.append(f"  {len(lease.differences)} differences from a fresh cluster, {how}:")
        lines += [f"    {line}" for line in lease.differences[:MOST_LINES]]
        if len(lease.differences) > MOST_LINES:
            lines.append(f"    ... and {len(lease.differences) - MOST_LINES} more")
        lines.append(f"  {_origin(lease.before)}")
    lines += [f"  {death}" for death in lease.deaths]
    return "\n".join(lines)


def _origin(before: Sequence[int]) -> str:
    if not before:
        return "it was a fresh cluster"
    told = f"the lease before on this cluster had seed {before[-1]}; to see it again: --replay {before[-1]}"
    return f"{told} (all of them: --replay {','.join(map(str, before))})" if len(before) > 1 else told


def reasons(retirements: Mapping[str, int]) -> list[str]:
    """Why clusters were not recycled: alike reasons, which differ after a colon, in one line with an example."""
    kinds: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for reason, count in retirements.items():
        kind, _, details = reason.partition(": ")
        kinds[kind] += count
        examples.setdefault(kind, details)
    return [
        f"not recycled, {count} times: {kind}{f' (such as {examples[kind][:200]})' if examples[kind] else ''}"
        for kind, count in kinds.most_common()
    ]


def never_done(answers: Mapping[tuple[str, str], int]) -> list[str]:
    """Moves of which no step was ever answered well: they are no use."""
    done = {move for move, answer in answers if answer == "done"}
    return sorted({move for move, _ in answers} - done)


def quantile(values: Iterable[float], share: float) -> float:
    """The value that this share of all is not above; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def spread(values: Sequence[float]) -> str:
    """Median, nearly worst, worst."""
    parts = (("p50", quantile(values, 0.5)), ("p99", quantile(values, 0.99)), ("max", max(values, default=0.0)))
    return ", ".join(f"{name} {milliseconds(value)}" for name, value in parts)


def milliseconds(seconds: float) -> str:
    """A time, for people."""
    return f"{1000 * seconds:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def _of(totals: Mapping[str, Any] | None, key: str) -> str:
    return str(totals.get(key, "?")) if totals is not None else "?"


def _sum(answers: Mapping[tuple[str, str], int], part: int) -> Counter[str]:
    summed: Counter[str] = Counter()
    for key, count in answers.items():
        summed[key[part]] += count
    return summed


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {answer}" for answer, count in counter.most_common())

"""The table and the list of targets, as text. The one rule: pure; every row tells its unit, and a missing one why."""

from __future__ import annotations

from collections.abc import Sequence

from bench.model import Contender, Metric, Results
from bench.targets import Verdict

_HEADER = ("", "median", "min", "p99", "max", "n", "mostly", "ratio", "to")
_ENOUGH_FOR_P99 = 20


def render(contenders: Sequence[Contender], results: Results) -> str:
    """The table of all metrics, grouped by contender."""
    rows: list[tuple[str, ...]] = [_HEADER]
    notes: list[str] = []
    for contender in contenders:
        measured = [metric for metric in contender.metrics if results.samples.get(metric.name)]
        rows += [_row(metric, results) for metric in measured]
        if contender.name in results.missing:
            reason = results.missing[contender.name]
            rows.append((f"{contender.name}: not measured", *["-"] * (len(_HEADER) - 2), "see below"))
            notes.append(f"{contender.name}: not measured: {reason}")
    return "\n".join([_aligned(rows), *(["", *notes] if notes else [])])


def render_targets(verdicts: Sequence[Verdict]) -> str:
    """What was aimed at beside what was measured."""
    rows = [("target", "aimed at", "measured", "")]
    rows += [(verdict.text, verdict.aimed, verdict.measured, verdict.word) for verdict in verdicts]
    return _aligned(rows)


def figure(value: float, unit: str) -> str:
    """A figure with its unit, with as many digits as mean something."""
    if unit == "s":
        return f"{value:.2f} s"
    if unit == "ms":
        return f"{value:.1f} ms" if abs(value) < 100 else f"{value:.0f} ms"
    if unit == "x":
        return f"{value:.2f} x" if abs(value) < 10 else f"{value:.0f} x"
    if unit in ("%", "/s"):
        return f"{value:.1f} {unit}"
    if unit == "MB":
        return f"{value:.0f} MB" if abs(value) >= 10 else f"{value:.1f} MB"
    return f"{value:.0f}"


def _row(metric: Metric, results: Results) -> tuple[str, ...]:
    figures = sorted(results.samples[metric.name])
    median = results.median(metric.name)
    assert median is not None
    ratio = results.ratio(metric.name, metric.base)
    p99 = results.percentile(metric.name, 99) if len(figures) >= _ENOUGH_FOR_P99 else None
    foremost = results.foremost(metric)
    return (
        metric.name,
        figure(median, metric.unit),
        figure(figures[0], metric.unit),
        figure(p99, metric.unit) if p99 is not None else "",
        figure(figures[-1], metric.unit),
        str(len(figures)),
        f"{foremost[0]} {figure(foremost[1], metric.unit)}" if foremost else "",
        f"{ratio:.2f} x" if ratio is not None else "",
        metric.base if metric.base and ratio is not None else "",
    )


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *others = row
        cells = [first.ljust(widths[0])]
        for width, cell in zip(widths[1:], others, strict=True):
            is_text = bool(cell) and not cell[0].isdigit() and not cell.startswith("-")
            cells.append(cell.ljust(width) if is_text else cell.rjust(width))
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join(lines)

"""Rows that divide what one contender measured by what another did, whatever their units.

The one rule: pure, and only medians of the same run are divided. Where one is missing there is no row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench import names
from bench.model import Metric, Results

_MILLISECONDS = {"s": 1000.0, "ms": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotient:
    """The row `name`: the sum of the medians `above`, divided by the median `below`."""

    name: str
    above: tuple[str, ...]
    below: str


_ENVTEST = (names.ENVTEST_START, names.ENVTEST_STOP)
_TEMPLATE = (names.BARE_TEMPLATE,)
QUOTIENTS: tuple[Quotient, ...] = (
    Quotient(name=names.ENVTEST_OVER_BACK_TO_BACK, above=_ENVTEST, below=names.PRISTINE_BACK_TO_BACK),
    Quotient(name=names.ENVTEST_OVER_WITH_WORK, above=_ENVTEST, below=names.PRISTINE_WITH_WORK),
    Quotient(name=names.TEMPLATE_OVER_BACK_TO_BACK, above=_TEMPLATE, below=names.PRISTINE_BACK_TO_BACK),
    Quotient(name=names.TEMPLATE_OVER_WITH_WORK, above=_TEMPLATE, below=names.PRISTINE_WITH_WORK),
)


def add(results: Results, metrics: Iterable[Metric], quotients: Iterable[Quotient] = QUOTIENTS) -> None:
    """Add the quotients of what was measured."""
    units = {metric.name: metric.unit for metric in metrics}
    for quotient in quotients:
        above = [_milliseconds(results, units, name) for name in quotient.above]
        below = _milliseconds(results, units, quotient.below)
        known = [value for value in above if value is not None]
        if below and len(known) == len(above):
            results.add({quotient.name: [sum(known) / below]})


def _milliseconds(results: Results, units: dict[str, str], name: str) -> float | None:
    median = results.median(name)
    return None if median is None else median * _MILLISECONDS[units[name]]

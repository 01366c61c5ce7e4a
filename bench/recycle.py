"""How long it takes to put a cluster back, by what there is to put back and by what stays.

The one rule: the recycler alone is measured, without pool, run service and pytest; whether somebody waits for it is
another question, which `pristine` answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bench import names, suite
from bench.cases import CASES, Case, steps
from bench.model import Contender, Ground, Metric, Once, Samples
from bench.recycling import RECORD

_REPEATS, _REPEATS_QUICK = 5, 2
_TURN_SECONDS = 1800.0


@contextmanager
def opened(ground: Ground) -> Iterator[Once]:
    """Every turn opens a backplane, and goes through all cases on it."""
    repeats = _REPEATS_QUICK if ground.quick else _REPEATS
    turns = iter(range(1000))

    def once() -> Samples:
        made = suite.project(ground, f"recycle-{next(turns)}", tests="")
        arguments = (ground.version, str(made.directory), str(repeats))
        with suite.launched(made, "bench.recycling", *arguments) as process:
            suite.finish(made, process, within=_TURN_SECONDS)
        notes = [json.loads(line) for line in (made.directory / RECORD).read_text(encoding="utf-8").splitlines()]
        for note in notes:
            if not note["pristine"]:
                ground.progress(f"{note['case']}: not pristine, and nothing after it on that cluster: {note['reason']}")
        return samples(CASES, notes)

    yield once


CONTENDER = Contender(
    name="recycle",
    about="putting a cluster back, by the number of dirty keys and by the size of the baseline",
    metrics=(
        *(Metric(name=case.metric, unit="ms", parts=case.parts) for case in CASES),
        Metric(name=names.RECYCLE_FAILED, unit=""),
    ),
    opened=opened,
    most_rounds=1,  # its own repetitions are enough
)


def samples(cases: Iterable[Case], notes: Iterable[Mapping[str, Any]]) -> Samples:
    """The figures of each case and its steps, in milliseconds; what failed is counted."""
    found: dict[str, list[float]] = {names.RECYCLE_FAILED: [0.0]}
    by_text = {case.text: case for case in cases}
    for note in notes:
        case = by_text[note["case"]]
        if not note["pristine"]:
            found[names.RECYCLE_FAILED][0] += 1
        else:
            found.setdefault(case.metric, []).append(1000 * note["seconds"])
            for step, seconds in steps(note["seconds"], note["steps"]).items():
                found.setdefault(case.parts[step], []).append(1000 * seconds)
    return found

"""What isolation costs a suite: a cluster for every test against one for all, the same tests, at `-n 2`.

The one rule: the clock runs from the body of the first test, before which every worker has its first cluster, until the
last test is over. So the start of the run is in neither; the whole runs are told beside it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench import names, suite
from bench.model import Contender, Ground, Metric, NotMeasured, Once, Samples
from bench.suites import objects, shop_operator
from bench.timeline import from_first_body, gaps, second_half

_COUNT, _COUNT_QUICK = 200, 40
_WORKERS = ("-n", "2")
_VARIANTS = (names.ISOLATED, names.SHARED)
_UNITS = {
    names.FROM_FIRST_BODY: "s",
    names.SECOND_HALF: "ms",
    names.BODY: "ms",
    names.BETWEEN: "ms",
    names.WHOLE: "s",
    names.CPU: "s",
}


@contextmanager
def opened(ground: Ground, *, tests: str, definition: Callable[[], objects.Object], row: str) -> Iterator[Once]:
    """Every turn runs the suite twice, the variant that came first last time second.

    `row` makes the names of the rows out of a variant and a figure.
    """
    count = _COUNT_QUICK if ground.quick else _COUNT
    projects = {variant: _project(ground, tests, variant, count, definition()) for variant in _VARIANTS}
    turn = list(_VARIANTS)

    def once() -> Samples:
        found: dict[str, Sequence[float]] = {}
        for variant in turn:
            made = projects[variant]
            for left in made.directory.glob("here-*"):
                left.unlink()
            ran = suite.run(made, *_WORKERS, counted=True)
            if len(ran.bodies) != count:
                raise NotMeasured(f"{variant}: {len(ran.bodies)} tests ran out of {count}")
            found |= samples(row, variant, ran)
            told = ", ".join(f"{times} retired: {why}" for why, times in ran.retired.items()) or "none retired"
            seconds = from_first_body(ran.bodies, ran.over)
            ground.progress(f"{variant}: {seconds:.1f} s, {ran.fresh} clusters were made, {told}")
        turn.reverse()
        return found

    yield once


def samples(row: str, variant: str, ran: suite.Ran) -> Samples:
    """The figures of one run."""
    found = {
        names.FROM_FIRST_BODY: [from_first_body(ran.bodies, ran.over)],
        names.SECOND_HALF: [1000 * second_half(ran.over)],
        names.BODY: [1000 * each.seconds for each in ran.bodies],
        names.BETWEEN: [1000 * each for each in gaps(ran.bodies)],
        names.WHOLE: [ran.wall_seconds],
        names.CPU: [] if ran.cpu_seconds is None else [ran.cpu_seconds],
    }
    return {row.format(variant=variant, figure=figure): figures for figure, figures in found.items() if figures}


def _contender(
    name: str, about: str, *, tests: str, definition: Callable[[], objects.Object], row: str, most_rounds: int
) -> Contender:
    return Contender(
        name=name,
        about=about,
        metrics=tuple(
            Metric(
                name=row.format(variant=variant, figure=figure),
                unit=unit,
                base=row.format(variant=names.SHARED, figure=figure) if variant == names.ISOLATED else None,
            )
            for figure, unit in _UNITS.items()
            for variant in _VARIANTS
        ),
        opened=functools.partial(opened, tests=tests, definition=definition, row=row),
        most_rounds=most_rounds,
    )


def _project(ground: Ground, tests: str, variant: str, count: int, definition: objects.Object) -> suite.Project:
    environment = {suite.COUNT: str(count)} | ({"BENCH_SHARED": "1"} if variant == names.SHARED else {})
    name = f"{tests.removesuffix('.py')}-{variant.replace(' ', '-')}"
    made = suite.project(ground, name, tests=suite.SUITES / tests, environment=environment)
    (made.directory / "definition.yaml").write_text(json.dumps(definition))
    return made


OPERATOR = _contender(
    "suite",
    "a kopf operator's suite at -n 2: a cluster per test against one for all of a worker's tests",
    tests="operator.py",
    definition=shop_operator.definition,
    row=names.OPERATOR,
    most_rounds=3,
)
BRIEF = _contender(
    "brief",
    "the worst case of that: tests of 0.1 s that never wait",
    tests="brief.py",
    definition=objects.definition,
    row=names.BRIEF,
    most_rounds=3,
)

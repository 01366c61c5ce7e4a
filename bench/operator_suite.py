"""What isolation costs a suite: a cluster for every test against one for all, the same tests, at `-n 2`.

The one rule: the clock runs from the body of the first test, before which every worker has its first cluster, until the
last test is over. So the start of the run is in neither; the whole runs are told beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from bench import names, suite
from bench.model import Contender, Ground, Metric, NotMeasured, Once, Samples
from bench.suites.objects import definition
from bench.timeline import from_first_body, second_half

_COUNT, _COUNT_QUICK = 200, 40
_WORKERS = ("-n", "2")


@contextmanager
def opened(ground: Ground) -> Iterator[Once]:
    """Every turn runs the suite twice, the one that began last time second."""
    count = _COUNT_QUICK if ground.quick else _COUNT
    projects = [_project(ground, "isolated", count=count), _project(ground, "shared", count=count, BENCH_SHARED="1")]

    def once() -> Samples:
        found: dict[str, list[float]] = {}
        for made in projects:
            for left in made.directory.glob("here-*"):
                left.unlink()
            ran = suite.run(made, *_WORKERS)
            if len(ran.bodies) != count:
                raise NotMeasured(f"{made.directory.name}: {len(ran.bodies)} tests ran out of {count}")
            found |= samples(ran, shared=made is shared)
            told = ", ".join(f"{times} retired: {why}" for why, times in ran.retired.items()) or "none retired"
            ground.progress(f"{made.directory.name}: {ran.fresh} clusters were made, {told}")
        projects.reverse()
        return found

    shared = projects[1]
    yield once


CONTENDER = Contender(
    name="suite",
    about="an operator's suite at -n 2: a cluster per test against one for all of a worker's tests",
    metrics=(
        Metric(name=names.OPERATOR_ISOLATED, unit="s", base=names.OPERATOR_SHARED),
        Metric(name=names.OPERATOR_SHARED, unit="s"),
        Metric(name=names.OPERATOR_ISOLATED_STEADY, unit="ms", base=names.OPERATOR_SHARED_STEADY),
        Metric(name=names.OPERATOR_SHARED_STEADY, unit="ms"),
        Metric(name=names.OPERATOR_ISOLATED_BODY, unit="ms", base=names.OPERATOR_SHARED_BODY),
        Metric(name=names.OPERATOR_SHARED_BODY, unit="ms"),
        Metric(name=names.OPERATOR_ISOLATED_WHOLE, unit="s", base=names.OPERATOR_SHARED_WHOLE),
        Metric(name=names.OPERATOR_SHARED_WHOLE, unit="s"),
    ),
    opened=opened,
    most_rounds=3,
)


def samples(ran: suite.Ran, *, shared: bool) -> dict[str, list[float]]:
    """The figures of one run."""
    first, steady, body, whole = (
        (
            names.OPERATOR_SHARED,
            names.OPERATOR_SHARED_STEADY,
            names.OPERATOR_SHARED_BODY,
            names.OPERATOR_SHARED_WHOLE,
        )
        if shared
        else (
            names.OPERATOR_ISOLATED,
            names.OPERATOR_ISOLATED_STEADY,
            names.OPERATOR_ISOLATED_BODY,
            names.OPERATOR_ISOLATED_WHOLE,
        )
    )
    return {
        first: [from_first_body(ran.bodies, ran.over)],
        steady: [1000 * second_half(ran.over)],
        body: [1000 * each.seconds for each in ran.bodies],
        whole: [ran.wall_seconds],
    }


def _project(ground: Ground, name: str, *, count: int, **environment: str) -> suite.Project:
    made = suite.project(
        ground, name, tests=suite.SUITES / "operator.py", environment={suite.COUNT: str(count), **environment}
    )
    (made.directory / "definition.yaml").write_text(json.dumps(definition()))
    return made

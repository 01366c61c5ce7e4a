"""A pristine cluster for a test in the middle of a run, as the test sees it: what recycling is for.

The one rule: every test leaves a mess (up to 100 objects, a definition, custom resources) before the next one asks, and
only tests count that come after a warm-up in which the pool has made all clusters that it wants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from bench import names, suite
from bench.model import Contender, Ground, Metric, NotMeasured, Once, Samples
from bench.quotients import QUOTIENTS
from bench.recorder import FIXTURE
from bench.timeline import gaps

_COUNT, _COUNT_QUICK = 50, 10
_WARM_UP, _WARM_UP_QUICK = 8, 5
_WORK_SECONDS = 0.2
_ONE = "--vcluster-pool=1"
_BETWEEN_NAMESPACES = names.PRISTINE_BETWEEN[names.PRISTINE_NAMESPACE]


@contextmanager
def opened(ground: Ground) -> Iterator[Once]:
    """Every turn is four pytest runs of the same tests."""
    count, warm_up = (_COUNT_QUICK, _WARM_UP_QUICK) if ground.quick else (_COUNT, _WARM_UP)
    touching, namespaced = suite.SUITES / "touching.py", suite.SUITES / "namespaced.py"
    counted = {suite.COUNT: str(count), "BENCH_WARM_UP": str(warm_up)}
    plain = suite.project(ground, "pristine", tests=touching, environment=counted)
    at_work = {**counted, "BENCH_WORK": str(_WORK_SECONDS)}
    working = suite.project(ground, "working", tests=touching, environment=at_work)
    shared = suite.project(ground, "namespaced", tests=namespaced, environment={**counted, FIXTURE: "namespace"})
    runs: Mapping[str, tuple[suite.Project, Sequence[str]]] = {
        names.PRISTINE_BACK_TO_BACK: (plain, ()),
        names.PRISTINE_WITH_WORK: (working, ()),
        names.PRISTINE_POOL_OF_ONE: (plain, (_ONE,)),
        names.PRISTINE_NAMESPACE: (shared, ()),
    }

    def once() -> Samples:
        found: dict[str, Sequence[float]] = {}
        retired = 0
        for name, (made, options) in runs.items():
            ran = suite.run(made, *options)
            if len(ran.fixture_seconds) != count + warm_up:
                raise NotMeasured(f"{name}: {len(ran.fixture_seconds)} set-ups in a run of {count + warm_up} tests")
            found |= samples(name, ran, warm_up=warm_up)
            retired += sum(ran.retired.values())
            for reason, times in ran.retired.items():
                ground.progress(f"{name}: {times} clusters were retired: {reason}")
        return {**found, names.PRISTINE_RETIRED: [float(retired)]}

    yield once


CONTENDER = Contender(
    name="pristine",
    about="the next cluster, or the next namespace, for tests that leave up to 100 objects and a definition",
    metrics=(
        Metric(name=names.PRISTINE_BACK_TO_BACK, unit="ms", base=names.PRISTINE_NAMESPACE),
        Metric(name=names.PRISTINE_WITH_WORK, unit="ms", base=names.PRISTINE_NAMESPACE),
        Metric(name=names.PRISTINE_POOL_OF_ONE, unit="ms", base=names.PRISTINE_NAMESPACE),
        Metric(name=names.PRISTINE_NAMESPACE, unit="ms"),
        *(
            Metric(name=between, unit="ms", base=_BETWEEN_NAMESPACES if between != _BETWEEN_NAMESPACES else None)
            for between in names.PRISTINE_BETWEEN.values()
        ),
        Metric(name=names.PRISTINE_BODY, unit="ms"),
        Metric(name=names.PRISTINE_RETIRED, unit=""),
        *(Metric(name=quotient.name, unit="x") for quotient in QUOTIENTS),
    ),
    opened=opened,
    most_rounds=2,  # many samples a turn
)


def samples(name: str, ran: suite.Ran, *, warm_up: int) -> Samples:
    """The figures of one run, in milliseconds: what was waited for, and all that lies between two tests."""
    bodies = ran.bodies[warm_up:]
    found = {
        name: [1000 * seconds for seconds in ran.fixture_seconds[warm_up:]],
        names.PRISTINE_BETWEEN[name]: [1000 * seconds for seconds in gaps(bodies)],
    }
    if name == names.PRISTINE_BACK_TO_BACK:
        found[names.PRISTINE_BODY] = [1000 * body.seconds for body in bodies]
    return found

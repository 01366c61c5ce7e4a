"""This project, as a test sees it: from asking for the fixture to having a pristine cluster.

The one rule: every figure is taken in a pytest process that was started for it; nothing of a run is warm but the
binaries and the template in the cache, as on any machine where pytest ran before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bench import names, suite
from bench.model import Contender, Ground, Metric, NotMeasured, Once, Samples
from bench.recorder import PAUSE

_ONE_TEST = "def test_alone(vcluster):\n    assert vcluster.url\n"
_MANY_TESTS = """\
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_one_of_many(vcluster, number):
    assert vcluster.url
"""
_MANY, _MANY_QUICK = 20, 5
_WARM, _WARM_QUICK = 10, 4
# What the pool needs to make the next cluster on two busy cores; a test that does something gives it as much.
_PAUSE_SECONDS = 5.0


@contextmanager
def opened_first(ground: Ground) -> Iterator[Once]:
    """Every turn is a pytest run with one test."""
    made = suite.project(ground, "first", tests=_ONE_TEST)
    suite.run(made)  # makes the template, and the .pyc files of a fresh checkout

    def once() -> Samples:
        ran = suite.run(made)
        return {
            names.FIRST_FIXTURE: [_fixtures(ran, 1)[0]],
            names.FIRST_WALL: [ran.wall_seconds],
            names.FIRST_END: [ran.end_seconds],
        }

    yield once


@contextmanager
def opened_warm(ground: Ground) -> Iterator[Once]:
    """Every turn is a pytest run whose tests leave the pool time to have the next cluster ready."""
    count = _WARM_QUICK if ground.quick else _WARM
    made = suite.project(
        ground, "warm", tests=_MANY_TESTS.format(count=count), environment={PAUSE: str(_PAUSE_SECONDS)}
    )

    def once() -> Samples:
        return {names.NEXT_WARM: [1000 * seconds for seconds in _fixtures(suite.run(made), count)[1:]]}

    yield once


@contextmanager
def opened_back_to_back(ground: Ground) -> Iterator[Once]:
    """Every turn is a pytest run whose tests do nothing, one right after the other."""
    count = _MANY_QUICK if ground.quick else _MANY
    made = suite.project(ground, "many", tests=_MANY_TESTS.format(count=count))

    def once() -> Samples:
        ran = suite.run(made)
        return {
            names.NEXT_BACK_TO_BACK: [1000 * seconds for seconds in _fixtures(ran, count)[1:]],
            names.SUITE_WALL: [ran.wall_seconds / count],
        }

    yield once


FIRST = Contender(
    name="first",
    about="a pytest run with one test, from cold processes with warm binaries",
    metrics=(
        Metric(name=names.FIRST_FIXTURE, unit="s", base=names.BARE_TEMPLATE),
        Metric(name=names.FIRST_WALL, unit="s", base=names.ENVTEST_START),
        Metric(name=names.FIRST_END, unit="s", base=names.ENVTEST_STOP),
    ),
    opened=opened_first,
)
WARM = Contender(
    name="warm",
    about="set-up of the fixture when the pool had time to make a cluster",
    metrics=(Metric(name=names.NEXT_WARM, unit="ms"),),
    opened=opened_warm,
    most_rounds=2,  # many samples a turn, and a minute long
)
BACK_TO_BACK = Contender(
    name="many",
    about="set-up of the fixture in a suite of empty tests: how fast clusters can be had for long",
    metrics=(Metric(name=names.NEXT_BACK_TO_BACK, unit="ms"), Metric(name=names.SUITE_WALL, unit="s")),
    opened=opened_back_to_back,
    most_rounds=2,
)


def _fixtures(ran: suite.Ran, count: int) -> tuple[float, ...]:
    if len(ran.fixture_seconds) != count:
        raise NotMeasured(f"{len(ran.fixture_seconds)} clusters were handed out in a run of {count} tests")
    return ran.fixture_seconds

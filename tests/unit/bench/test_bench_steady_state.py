"""The rows about clusters that are used again and again: what is made of times, notes and weights."""

import dataclasses
from contextlib import nullcontext

import pytest

from bench import leases, names, operator_suite, pristine, recycle, suite
from bench.cases import CASES, steps
from bench.model import Contender, Metric, Results
from bench.processes import Weight
from bench.quotients import Quotient, add
from bench.suites import objects
from bench.table import render
from bench.targets import Target, judge
from bench.timeline import Body, from_first_body, gaps, second_half

BODIES = (
    Body(worker=1, began=10.0, ended=11.0),
    Body(worker=2, began=10.5, ended=12.5),
    Body(worker=1, began=11.25, ended=12.0),
    Body(worker=1, began=12.125, ended=13.0),
)
SAID = """\
========== vcluster ==========
60 leases on host embedded (v1.36.4): 4 fresh, 57 recycled, 4 retired
4 clusters in all, at most 96 at once
retired 2: it has served 500 leases
retired 1: its API server has grown to 601 MB
60 passed in 20.00s
"""


def test_between_two_tests_of_the_same_worker_lies_a_gap() -> None:
    assert gaps(BODIES) == [0.25, 0.125]
    assert gaps(BODIES[:2]) == []


def test_a_suite_lasts_from_its_first_body_until_its_last_test_is_over() -> None:
    assert from_first_body(BODIES, [11.1, 12.1, 12.6, 13.5]) == 3.5


@pytest.mark.parametrize(
    ("over", "seconds"), [([1.0, 2.0, 3.0, 3.5, 4.0, 4.5], 0.5), ([9.0, 1.0], 8.0), ([4.0, 1.0, 2.0, 3.0, 5.0], 1.0)]
)
def test_the_second_half_tells_how_fast_it_goes_once_it_goes(over: list[float], seconds: float) -> None:
    assert second_half(over) == pytest.approx(seconds)


def test_what_the_recorder_noted_and_pytest_said_is_put_together() -> None:
    notes = [
        {"event": "fixture", "at": 2.0, "seconds": 1.5},
        {"event": "body", "at": 3.0, "worker": 7, "began": 2.0, "ended": 3.0},
        {"event": "test", "at": 3.5},
        {"event": "over", "at": 4.0},
        {"event": "over", "at": 4.5},
    ]
    assert suite.ran(notes, SAID, wall_seconds=6.0, over_at=5.0) == suite.Ran(
        wall_seconds=6.0,
        end_seconds=0.5,
        fixture_seconds=(1.5,),
        bodies=(Body(worker=7, began=2.0, ended=3.0),),
        over=(3.5,),
        fresh=4,
        retired={"it has served 500 leases": 2, "its API server has grown to 601 MB": 1},
    )


@pytest.mark.parametrize(
    ("figures", "percent", "expected"),
    [([5.0], 99, 5.0), ([3.0, 1.0, 2.0], 50, 2.0), (list(map(float, range(1, 201))), 99, 198.0), ([], 99, None)],
)
def test_percentiles_are_figures_that_were_measured(
    figures: list[float], percent: float, expected: float | None
) -> None:
    assert Results(samples={"row": figures}).percentile("row", percent) == expected


def test_targets_can_be_percentiles_and_lower_limits() -> None:
    results = Results(samples={"waited": [*[10.0] * 98, 200.0, 300.0], "times": [120.0]})
    targets = [
        Target(text="p50", metric="waited", limit=25, unit="ms", percent=50),
        Target(text="p99", metric="waited", limit=150, unit="ms", percent=99),
        Target(text="enough", metric="times", limit=100, unit="x", at_least=True),
        Target(text="too little", metric="times", limit=150, unit="x", at_least=True),
    ]
    assert [(verdict.aimed, verdict.measured, verdict.met) for verdict in judge(results, targets)] == [
        ("<= 25 ms", "10 ms", True),
        ("<= 150 ms", "200 ms", False),
        (">= 100.00 x", "120.00 x", True),
        (">= 150.00 x", "120.00 x", False),
    ]


def test_quotients_compare_seconds_with_milliseconds() -> None:
    results = Results(samples={"start": [3.0, 5.0], "stop": [1.0], "next": [20.0]})
    metrics = [Metric(name="start", unit="s"), Metric(name="stop", unit="s"), Metric(name="next", unit="ms")]
    add(results, metrics, [Quotient(name="times", above=("start", "stop"), below="next")])
    add(results, metrics, [Quotient(name="nothing", above=("start", "unknown"), below="next")])
    assert results.samples["times"] == [250.0]
    assert "nothing" not in results.samples


def test_the_waiting_of_the_warm_up_does_not_count() -> None:
    ran = suite.Ran(wall_seconds=9.0, end_seconds=0.1, fixture_seconds=(2.0, 0.02, 0.03, 0.01), bodies=BODIES)
    assert pristine.samples(names.PRISTINE_WITH_WORK, ran, warm_up=2) == {
        names.PRISTINE_WITH_WORK: [30.0, 10.0],
        names.PRISTINE_BETWEEN[names.PRISTINE_WITH_WORK]: [125.0],
    }


def test_every_figure_of_a_turn_has_its_row() -> None:
    ran = suite.Ran(
        wall_seconds=9.0,
        end_seconds=0.1,
        fixture_seconds=(0.02, 0.03),
        bodies=BODIES,
        over=(12.0, 13.5),
        cpu_seconds=8.0,
    )
    weight = Weight(pss_mb=1.0, private_mb=1.0, written_mb=1.0, rss_mb=1.0)
    notes = [note(case.text) for case in CASES]
    turns = [
        (
            pristine.CONTENDER,
            [
                pristine.samples(name, ran, warm_up=0)
                for name in names.PRISTINE_BETWEEN  # every run that is made
            ],
        ),
        *(
            (contender, [operator_suite.samples(row, variant, ran) for variant in (names.ISOLATED, names.SHARED)])
            for contender, row in ((operator_suite.OPERATOR, names.OPERATOR), (operator_suite.BRIEF, names.BRIEF))
        ),
        (recycle.CONTENDER, [recycle.samples(CASES, notes)]),
        (leases.CONTENDER, [leases.samples({10: weight, 1000: weight}, retired=0)]),
    ]
    for contender, found in turns:
        rows = {metric.name for metric in contender.metrics}
        rows |= {part for metric in contender.metrics for part in metric.parts.values()}
        assert {name for turn in found for name in turn} <= rows


def test_what_isolation_costs_is_told_in_time_and_in_cpu_time() -> None:
    ran = suite.Ran(wall_seconds=9.0, end_seconds=0.1, fixture_seconds=(), bodies=BODIES, over=(11.5, 12.0, 13.5))
    counted = dataclasses.replace(ran, cpu_seconds=8.0)
    found = operator_suite.samples("{variant}: {figure}", names.SHARED, counted)
    assert {name.removeprefix("shared cluster: "): list(figures) for name, figures in found.items()} == {
        names.FROM_FIRST_BODY: [3.5],
        names.SECOND_HALF: [1000.0],
        names.BODY: [1000.0, 2000.0, 750.0, 875.0],
        names.BETWEEN: [250.0, 125.0],
        names.WHOLE: [9.0],
        names.CPU: [8.0],
    }
    uncounted = operator_suite.samples("{variant}: {figure}", names.SHARED, ran)
    assert found.keys() - uncounted.keys() == {"shared cluster: whole run, CPU"}


def test_steps_add_up_to_the_whole() -> None:
    told = {"freeze": 0.05, "reset": 0.03, "barrier": 0.015, "drain": 0.002, "quiet": 0.016, "verify": 0.001}
    found = steps(0.08, told)
    assert found["rest"] == pytest.approx(0.016)
    assert found["discovery"] == 0
    assert sum(found.values()) == pytest.approx(0.08)


def note(case: str, *, seconds: float = 0.1, pristine: bool = True) -> dict[str, object]:
    return {"case": case, "seconds": seconds, "pristine": pristine, "steps": {"reset": 0.06, "quiet": 0.015}}


def test_a_recycling_that_failed_is_counted_and_no_figure() -> None:
    case = CASES[0]
    notes = [note(case.text), note(case.text, seconds=0.3), note(case.text, seconds=5.0, pristine=False)]
    found = recycle.samples(CASES, notes)
    assert found[case.metric] == pytest.approx([100, 300])
    assert found[case.parts["reset"]] == pytest.approx([60, 60])
    assert found[names.RECYCLE_FAILED] == [1]


def test_the_table_tells_what_a_figure_is_mostly_made_of() -> None:
    case = CASES[0]
    metric = Metric(name=case.metric, unit="ms", parts=case.parts)
    results = Results()
    results.add(recycle.samples(CASES, [note(case.text)]))
    shown = render([Contender(name="one", about="", metrics=(metric,), opened=lambda _: nullcontext(dict))], results)
    assert "reset 60.0 ms" in shown.splitlines()[-1]
    parts = results.to_json([metric])[metric.name]["parts"]
    assert parts["reset"] == [60.0]


@pytest.mark.parametrize(("count", "expected"), [(100, (10, 20, 30)), (1000, (10, 100, 200))])
def test_a_cluster_is_weighed_early_and_then_at_equal_distances(count: int, expected: tuple[int, ...]) -> None:
    found = leases.weighings(count)
    assert found[:3] == expected
    assert found[-1] == count
    assert len(set(found)) == len(found)


def test_growth_is_that_of_the_heaviest() -> None:
    weights = {
        number: Weight(pss_mb=0, private_mb=0, written_mb=written, rss_mb=written + 100)
        for number, written in ((10, 100.0), (500, 130.0), (1000, 110.0))
    }
    found = leases.samples(weights, retired=2)
    assert found[names.GROWTH_PRIVATE] == [30]
    assert found[names.GROWTH_RSS] == [15]
    assert found[names.GROWTH_RETIRED] == [2]
    assert found[names.GROWTH_LEASES] == [1000]


@pytest.mark.parametrize("number", [-1, 0, 1, 90])
def test_a_test_touches_between_10_and_100_objects(number: int) -> None:
    touched = objects.touched(number)
    assert 10 <= len(touched) <= 100
    assert len({(each["kind"], each["metadata"]["name"]) for each in touched}) == len(touched)

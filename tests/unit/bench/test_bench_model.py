from contextlib import nullcontext
from pathlib import Path

import pytest

from bench import rounds
from bench.model import Contender, Ground, Metric, NotMeasured, Results
from bench.rounds import order
from pytest_vcluster.toolchain import Sources

METRIC = Metric(name="start", unit="s", base="floor")


def ground(said: list[str]) -> Ground:
    return Ground(
        version="v1.36.4",
        sources=Sources(cache=Path("/nowhere")),
        binaries={},
        directory=Path("/nowhere"),
        repository=Path("/nowhere"),
        quick=True,
        progress=said.append,
    )


def contender(name: str, turns: object) -> Contender:
    def opened(_: Ground) -> object:
        return nullcontext(turns)

    return Contender(name=name, about="", metrics=(Metric(name=name, unit="s"),), opened=opened)  # type: ignore[arg-type]


def test_a_metric_tells_its_samples_and_its_ratio_to_its_base() -> None:
    results = Results()
    results.add({"start": [3.0, 1.0], "floor": [1.0]})
    results.add({"start": [2.0]})
    assert results.to_json([METRIC, Metric(name="never", unit="s")]) == {
        "start": {
            "unit": "s",
            "median": 2.0,
            "min": 1.0,
            "max": 3.0,
            "p99": 3.0,
            "samples": [3.0, 1.0, 2.0],
            "base": "floor",
            "ratio": 2.0,
        }
    }


@pytest.mark.parametrize("samples", [{"start": [1.0]}, {"floor": [1.0]}, {"start": [1.0], "floor": [0.0]}])
def test_there_is_no_ratio_without_both_figures(samples: dict[str, list[float]]) -> None:
    results = Results()
    results.add(samples)
    assert results.ratio("start", "floor") is None


def test_every_round_starts_with_another_contender() -> None:
    three = [contender(name, None) for name in "abc"]
    assert ["".join(one.name for one in order(three, number)) for number in range(4)] == ["abc", "bca", "cab", "abc"]


def test_a_contender_that_fails_is_told_once_and_costs_the_others_nothing() -> None:
    asked = []

    def fails() -> dict[str, list[float]]:
        asked.append("fails")
        raise NotMeasured("no Go here\nat all")

    said: list[str] = []
    results = rounds.run(
        [contender("fails", fails), contender("works", lambda: {"works": [1.0]})], ground(said), rounds=3
    )
    assert results.samples == {"works": [1.0, 1.0, 1.0]}
    assert results.missing == {"fails": "no Go here\nat all"}
    assert asked == ["fails"]
    assert "fails: no Go here" in said


def test_an_interrupt_ends_the_run_with_the_figures_so_far() -> None:
    turns = iter([{"works": [1.0]}])

    def once() -> dict[str, list[float]]:
        found = next(turns, None)
        if found is None:
            raise KeyboardInterrupt
        return found

    assert rounds.run([contender("works", once)], ground([]), rounds=3).samples == {"works": [1.0]}

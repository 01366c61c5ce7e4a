from contextlib import nullcontext

import pytest

from bench import names
from bench.memory import Weighed, samples, slope
from bench.model import Contender, Metric, NotMeasured, Results
from bench.plugin import imported_ms
from bench.processes import parse_rollup
from bench.table import figure, render, render_targets
from bench.targets import TARGETS, Target, judge

ROLLUP = """\
00400000-7ffd1a3f4000 ---p 00000000 00:00 0                              [rollup]
Rss:              200000 kB
Pss:              150000 kB
Pss_Dirty:        100000 kB
Shared_Clean:      90000 kB
Private_Clean:     10000 kB
Private_Dirty:    100000 kB
"""
IMPORTS = """\
import time: self [us] | cumulative | imported package
import time:       900 |        900 | site
import time:      5000 |      50000 | pytest
import time:       300 |        300 |   pytest_vcluster.errors
import time:       200 |        500 | pytest_vcluster
import time:      1500 |       1500 | pytest_vcluster.plugin
import time:       700 |        700 | atexit_things
"""


def test_memory_is_read_in_millions_of_bytes() -> None:
    weight = parse_rollup(ROLLUP)
    assert weight.pss_mb == pytest.approx(153.6)
    assert weight.private_mb == pytest.approx(112.64)
    assert weight.written_mb == pytest.approx(102.4)


def test_the_slope_ignores_what_does_not_grow() -> None:
    assert slope([1, 2, 3, 4], [700.0, 850.0, 1000.0, 1150.0]) == pytest.approx(150)


def test_there_is_no_slope_through_one_number_of_clusters() -> None:
    with pytest.raises(NotMeasured, match=r"different number of clusters \(\[2\]\)"):
        slope([2, 2], [1.0, 2.0])


def test_parts_add_up_to_the_slope_of_the_whole() -> None:
    weights = [
        Weighed(
            clusters=count,
            pss_mb=500.0 + 200 * count,
            private_mb=600.0,
            parts={"kube-apiserver": 200.0 + 140 * count, "syncer": 60.0 + 5 * count, "all else": 140.0 + 35 * count},
        )
        for count in (1, 2, 4)
    ]
    found = {name: figures[0] for name, figures in samples(weights).items()}
    parts = [value for name, value in found.items() if name.startswith(names.PRIVATE_OF.format(part=""))]
    assert found[names.PRIVATE_SLOPE] == pytest.approx(180)
    assert sum(parts) == pytest.approx(180)
    assert found[names.PSS_FIRST] == 700
    assert found[names.PRIVATE_FIRST] == 600


def test_imports_after_pytest_up_to_the_plugin_count() -> None:
    assert imported_ms(IMPORTS) == 2.0


def test_a_report_without_the_plugin_is_no_figure() -> None:
    with pytest.raises(NotMeasured, match="pytest_vcluster"):
        imported_ms(IMPORTS.replace("pytest_vcluster.plugin", "another"))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(1.234, "s", "1.23 s"), (9.87, "ms", "9.9 ms"), (312.4, "ms", "312 ms"), (187.3, "MB", "187 MB"), (0, "", "0")],
)
def test_figures_have_as_many_digits_as_mean_something(value: float, unit: str, text: str) -> None:
    assert figure(value, unit) == text


def test_targets_are_judged_by_ratio_by_median_and_by_the_worst() -> None:
    results = Results()
    results.add({names.FIRST_FIXTURE: [1.2, 1.8, 1.3], names.BARE_TEMPLATE: [1.0], names.UNUSED_THREADS: [0, 1, 0]})
    words = {verdict.text: (verdict.measured, verdict.word) for verdict in judge(results)}
    assert words["first test, against a bare kube-apiserver's start from template"] == ("1.30 x", "met")
    assert words["unused plugin: threads started"] == ("1", "NOT MET")
    assert words["a cluster from the warm pool"] == ("-", "not measured")
    assert len(words) == len(TARGETS)


def test_the_table_shows_figures_and_tells_why_others_are_missing() -> None:
    results = Results()
    results.add({"start": [1.0, 2.0]})
    results.missing["other"] = "no Go"
    contenders = [
        Contender(name=name, about="", metrics=(Metric(name=row, unit="s"),), opened=lambda _: nullcontext(dict))
        for name, row in (("one", "start"), ("other", "stop"))
    ]
    lines = render(contenders, results).splitlines()
    assert lines[2].split() == ["start", "1.50", "s", "1.00", "s", "2.00", "s", "2"]
    assert lines[3].startswith("other: not measured")
    assert lines[-1] == "other: not measured: no Go"


def test_a_missed_target_stands_out() -> None:
    results = Results()
    results.add({"slow": [21.5]})
    text = render_targets(judge(results, [Target(text="quick", metric="slow", limit=20, unit="ms")]))
    assert text.splitlines()[-1].split() == ["quick", "<=", "20", "ms", "21.5", "ms", "NOT", "MET"]

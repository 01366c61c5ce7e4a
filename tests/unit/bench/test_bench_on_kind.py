"""Rows about virtual clusters on kind, and who weighs what."""

from pathlib import Path

import pytest

from bench import names, on_kind, processes
from bench.model import Results
from bench.targets import TARGETS, judge

ROLLUP = """00400000-7fff ---p 00000000 00:00 0 [rollup]
Rss:                3000 kB
Pss:                2000 kB
Private_Clean:       500 kB
Private_Dirty:      1000 kB
"""


def test_what_upstream_took_stands_beside_what_it_is_compared_with() -> None:
    rows = {metric.name: metric for metric in on_kind.CONTENDER.metrics}
    assert on_kind.UPSTREAM.keys() <= rows.keys()
    assert {metric.base for metric in rows.values() if metric.base} <= rows.keys()
    assert all("once" in name for name in on_kind.UPSTREAM)


def test_targets_name_rows_that_there_are() -> None:
    rows = {metric.name for metric in on_kind.CONTENDER.metrics}
    wanted = [target for target in TARGETS if target.metric.startswith("kind")]
    assert {name for target in wanted for name in (target.metric, target.against) if name} <= rows
    assert len(wanted) == 6
    results = Results(samples={names.KIND_COLD: [3.5, 3.9, 9.0]})
    assert [verdict.met for verdict in judge(results, wanted)] == [True, None, None, None, None, None]


@pytest.mark.parametrize(
    "spelt", ["burstable-pod31ed3b61_cfc3.slice/cri-containerd-7.scope", "burstable/pod31ed3b61-cfc3/7"]
)
def test_processes_of_a_pod_are_known_by_their_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelt: str
) -> None:
    for pid, group in {"7": f"0::/docker/9884/{spelt}", "8": "0::/docker/9884/pod31ed3b61-0000/7"}.items():
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cgroup").write_text(f"{group}\n")
        (tmp_path / pid / "smaps_rollup").write_text(ROLLUP)
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    assert [round(weight.pss_mb, 2) for weight in processes.of_pod("31ed3b61-cfc3")] == [2.05]

from __future__ import annotations

import pytest
from plugin_runs import Runs

from pytest_vcluster.report.page import read_page

TWO = """
    def test_a(vcluster): pass
    def test_b(vcluster): pass
"""


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["one process", "xdist"])
def test_the_end_of_a_run_tells_what_it_used(runs: Runs, args: list[str]) -> None:
    result = runs.test(TWO, *args)
    result.stdout.fnmatch_lines(
        [
            "*= vcluster =*",
            "2 leases on host embedded (v1.36.4): 2 fresh, 0 recycled, 2 retired",
            "2 clusters in all, at most 3 at once",
            "time to a pristine cluster: p50 20 ms, max 1.5 s",
            "note: pool reduced from 8 to 4: 2 GB free",
        ]
    )
    assert [line["event"] for line in runs.world()][-1] == "shut_down"


def test_trouble_at_the_end_is_a_line_not_a_failure(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_TROUBLE", "shut_down")
    result = runs.test(TWO)
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["ProvisionError: the run service does not answer"])


def test_ctrl_c_ends_leases_and_the_run_service(runs: Runs) -> None:
    result = runs.test("def test_a(vcluster): raise KeyboardInterrupt")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert [line["event"] for line in runs.world()] == ["open", "close", "release", "shut_down"]


def test_a_stopped_run_ends_the_run_service(runs: Runs) -> None:
    runs.test("def test_a(vcluster): assert 0\ndef test_b(vcluster): pass", "-x")
    assert [line["event"] for line in runs.world()] == ["open", "collect", "close", "release", "shut_down"]


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["one process", "xdist"])
def test_a_report_page_is_written(runs: Runs, args: list[str]) -> None:
    result = runs.test(
        "def test_a(vcluster): pass\ndef test_b(vcluster): assert 0\ndef test_c(): pass",
        "--vcluster-report=out/report.html",
        "--vcluster-evidence=left",
        *args,
    )
    page = runs.path / "out" / "report.html"
    result.stdout.fnmatch_lines([f"report: {page}"])
    rows, totals = read_page(page)
    assert sorted((row["test"], row["outcome"]) for row in rows) == [
        ("test_it.py::test_a", "passed"),
        ("test_it.py::test_b", "failed"),
    ]
    assert totals["leases"] == 2
    assert '<a href="../left/test_it.py-test_b">evidence</a>' in page.read_text()


def test_a_report_that_cannot_be_written_is_a_line_not_a_failure(runs: Runs) -> None:
    (runs.path / "file").touch()
    result = runs.test(TWO, "--vcluster-report=file/report.html")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["no report: *file/report.html can't be written: *"])

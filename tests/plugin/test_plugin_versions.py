from __future__ import annotations

from plugin_runs import Runs

SOURCE = """
    import pytest
    def test_a(vcluster): assert vcluster.version
    @pytest.fixture
    def mine(vcluster_module): return vcluster_module
    def test_b(mine, vcluster_version): assert mine.version == vcluster_version
    def test_c(vcluster_session, vcluster_version): assert vcluster_session.version == vcluster_version
    def test_d(vcluster_factory, vcluster_version):
        with vcluster_factory() as vc: assert vc.version == vcluster_version
    @pytest.mark.vcluster(version="1.35")
    def test_pinned(vcluster): assert vcluster.version == "v1.35.8"
    def test_plain(): pass
"""

IDS = sorted(
    f"test_it.py::{name}[{version}]"
    for name in ("test_a", "test_b", "test_c", "test_d")
    for version in ("v1.36.4", "v1.37.1")
)


def outcomes(runs: Runs, *args: str) -> list[str]:
    result = runs.test(SOURCE, "-v", "--vcluster-version", "1.36,1.37", *args)
    result.assert_outcomes(passed=10)
    words = [word for line in result.outlines if "PASSED" in line for word in line.split() if "::" in word]
    return sorted(words)


def test_every_test_with_a_cluster_runs_on_each_version(runs: Runs) -> None:
    assert outcomes(runs) == [*IDS, "test_it.py::test_pinned[v1.35.8]", "test_it.py::test_plain"]


def test_the_same_under_xdist(runs: Runs) -> None:
    assert outcomes(runs, "-n2") == [*IDS, "test_it.py::test_pinned[v1.35.8]", "test_it.py::test_plain"]
    assert len({line["process"] for line in runs.world("open")}) == 2
    assert len(runs.world("shut_down")) == 1


def test_a_single_version_leaves_ids_alone(runs: Runs) -> None:
    result = runs.test("def test_a(vcluster): assert vcluster.version == 'v1.37.1'", "-v", "--vcluster-version=1.37")
    result.stdout.fnmatch_lines(["test_it.py::test_a PASSED*"])


def test_shared_clusters_are_made_once_per_version(runs: Runs) -> None:
    runs.test(
        """
        def test_a(vcluster_session): pass
        def test_b(vcluster_session): pass
        def test_c(vcluster_module): pass
        def test_d(vcluster_module): pass
        """,
        "--vcluster-version=1.36,1.37",
    ).assert_outcomes(passed=8)
    assert sorted(line["version"] for line in runs.world("open")) == ["v1.36.4"] * 2 + ["v1.37.1"] * 2

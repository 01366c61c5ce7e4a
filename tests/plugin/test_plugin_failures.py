from __future__ import annotations

import stat
from pathlib import Path

import pytest
from plugin_runs import Runs

FAILING = "def test_a(vcluster): assert 0, 'own error'"


def test_a_failure_leaves_evidence_before_its_cluster_ends(runs: Runs) -> None:
    result = runs.test(FAILING, "--vcluster-evidence=left")
    result.assert_outcomes(failed=1)
    folder = runs.path / "left" / "test_it.py-test_a"
    assert (folder / "objects.yaml").is_file()
    assert stat.S_IMODE((folder / "kubeconfig").stat().st_mode) == 0o600
    assert [line["event"] for line in runs.world()] == ["open", "collect", "close", "release", "shut_down"]
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: own error",
            "*- vcluster -*",
            "vc-* (v1.36.4, fixture vcluster)",
            f"Evidence: {folder}",
            f"export KUBECONFIG={folder}/kubeconfig",
            "The cluster ends with the test; --vcluster-keep on-failure keeps it for you.",
        ]
    )


def test_the_same_under_xdist(runs: Runs) -> None:
    result = runs.test(FAILING, "--vcluster-evidence=left", "-n2")
    folder = runs.path / "left" / "test_it.py-test_a"
    assert (folder / "objects.yaml").is_file()
    result.stdout.fnmatch_lines(["*AssertionError: own error", f"Evidence: {folder}", "export KUBECONFIG=*"])


def test_without_the_option_evidence_goes_to_the_temporary_folder_of_pytest(runs: Runs) -> None:
    result = runs.test(FAILING)
    (line,) = [line for line in result.outlines if line.startswith("Evidence: ")]
    assert Path(line.removeprefix("Evidence: ")).joinpath("objects.yaml").is_file()
    assert not (runs.path / "vcluster-evidence").exists()


@pytest.mark.parametrize(
    "source",
    [
        "def test_a(vcluster): pass",
        "import pytest\ndef test_a(vcluster): pytest.skip('no')",
        "import pytest\n@pytest.mark.xfail\ndef test_a(vcluster): assert 0",
        "import pytest\ndef test_a(vcluster_factory):\n with pytest.raises(OSError), vcluster_factory(): raise OSError",
    ],
    ids=["passed", "skipped", "xfailed", "error expected"],
)
def test_a_test_that_does_not_fail_leaves_no_evidence(runs: Runs, source: str) -> None:
    assert runs.test(source, "--vcluster-evidence=left", "--vcluster-keep=never").ret == pytest.ExitCode.OK
    assert not list(runs.path.glob("left/*"))


def test_a_failing_fixture_behind_the_cluster_leaves_evidence(runs: Runs) -> None:
    result = runs.test(
        """
        import pytest
        @pytest.fixture
        def mine(vcluster): raise OSError("own error")
        def test_a(mine): pass
        """,
        "--vcluster-evidence=left",
    )
    result.assert_outcomes(errors=1)
    assert (runs.path / "left" / "test_it.py-test_a" / "objects.yaml").is_file()


def test_a_failure_within_a_factory_leaves_evidence(runs: Runs) -> None:
    result = runs.test(
        """
        def test_a(vcluster_factory):
            with vcluster_factory(), vcluster_factory(): assert 0, "own error"
        """,
        "--vcluster-evidence=left",
    )
    result.stdout.fnmatch_lines(
        ["*own error", "Evidence: */left/test_it.py-test_a/vc-*", "Evidence: */left/test_it.py-test_a/vc-*"]
    )
    assert [line["event"] for line in runs.world()][2:4] == ["collect", "close"]
    assert len(list((runs.path / "left").rglob("objects.yaml"))) == 2


def test_a_cluster_that_ended_before_the_failure_is_mentioned(runs: Runs) -> None:
    result = runs.test(
        """
        def test_a(vcluster_factory):
            with vcluster_factory(): pass
            assert 0, "own error"
        """
    )
    result.stdout.fnmatch_lines(["*own error", "vc-*: ended before the test failed, so there is no evidence of it"])


def test_each_test_that_shares_a_cluster_has_its_own_evidence(runs: Runs) -> None:
    runs.test(
        """
        def test_a(vcluster_module): assert 0
        def test_b(vcluster_module): assert 0
        def test_c(vcluster_module): pass
        """,
        "--vcluster-evidence=left",
    )
    assert sorted(path.name for path in runs.path.glob("left/*")) == ["test_it.py-test_a", "test_it.py-test_b"]


def test_trouble_with_evidence_does_not_hide_the_error_of_the_test(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_TROUBLE", "collect")
    result = runs.test(FAILING, "--vcluster-evidence=left")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*AssertionError: own error", "The evidence is incomplete: OSError: no space left on device"]
    )


def test_a_folder_for_evidence_that_cannot_be_made_does_not_hide_the_error_of_the_test(runs: Runs) -> None:
    (runs.path / "file").touch()
    result = runs.test(FAILING, "--vcluster-evidence=file/left")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*AssertionError: own error", "The evidence is incomplete: *", "export KUBECONFIG=*"])


def test_evidence_of_an_earlier_run_is_replaced(runs: Runs) -> None:
    old = runs.path / "left" / "test_it.py-test_a" / "old"
    old.parent.mkdir(parents=True)
    old.touch()
    runs.test(FAILING, "--vcluster-evidence=left")
    assert not old.exists()


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["one process", "xdist"])
def test_a_death_fails_a_test_that_did_not_notice(runs: Runs, args: list[str]) -> None:
    result = runs.test(
        """
        def test_a(vcluster): vcluster.kill("kube-apiserver")
        def test_b(vcluster): pass
        """,
        *args,
    )
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "ComponentDied: kube-apiserver of this test's cluster died (killed by signal 9).",
            "Last lines of /logs/x.log:",
            "its last words",
        ]
    )


def test_a_death_is_added_to_the_error_of_the_test(runs: Runs) -> None:
    result = runs.test(
        """
        def test_a(vcluster):
            vcluster.kill("syncer")
            assert 0, "own error"
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*AssertionError: own error", "*- vcluster -*", "ComponentDied: syncer of *"])
    assert result.stdout.str().count("ComponentDied") == 1


def test_a_death_in_the_teardown_of_a_test_is_an_error_of_it(runs: Runs) -> None:
    result = runs.test(
        """
        import pytest
        @pytest.fixture
        def mine(vcluster):
            yield
            vcluster.kill("kube-apiserver")
        def test_a(mine): pass
        """
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["ComponentDied: kube-apiserver *"])


def test_a_death_that_becomes_known_with_the_release_is_an_error_of_the_test(runs: Runs) -> None:
    result = runs.test("def test_a(vcluster): vcluster.kill('kube-apiserver', late=True)")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["ComponentDied: kube-apiserver *"])


def test_a_death_of_a_shared_cluster_fails_all_tests_that_use_it_from_then_on(runs: Runs) -> None:
    result = runs.test(
        """
        def test_a(vcluster_module): pass
        def test_b(vcluster_module): vcluster_module.kill("kube-apiserver")
        def test_c(vcluster_module): pass
        def test_d(vcluster): pass
        """
    )
    result.assert_outcomes(passed=2, failed=2)

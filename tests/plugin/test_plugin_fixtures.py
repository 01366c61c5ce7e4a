from __future__ import annotations

import pytest
from plugin_runs import Runs


def test_every_test_gets_a_cluster_of_its_own(runs: Runs) -> None:
    result = runs.test(
        """
        seen = set()
        def test_a(vcluster): seen.add(vcluster.name)
        def test_b(vcluster): seen.add(vcluster.name); assert len(seen) == 2
        """
    )
    result.assert_outcomes(passed=2)
    assert [line["holder"] for line in runs.world("open")] == ["test_it.py::test_a", "test_it.py::test_b"]
    assert [line["event"] for line in runs.world()] == ["open", "close", "release"] * 2 + ["shut_down"]


def test_a_module_cluster_lives_as_long_as_the_module(runs: Runs) -> None:
    result = runs.test(
        """
        def test_a(vcluster_module): pass
        def test_b(vcluster_module): pass
        """,
        test_other="def test_c(vcluster_module): pass",
    )
    result.assert_outcomes(passed=3)
    assert [line["holder"] for line in runs.world("open")] == ["test_it.py", "test_other.py"]


def test_a_session_cluster_is_shared_by_all_tests_of_the_process(runs: Runs) -> None:
    result = runs.test("def test_a(vcluster_session): pass", test_other="def test_c(vcluster_session): pass")
    result.assert_outcomes(passed=2)
    assert len(runs.world("open")) == 1


def test_a_factory_makes_clusters_within_a_test(runs: Runs) -> None:
    result = runs.test(
        """
        def test_a(vcluster_factory):
            with vcluster_factory(version="1.37") as one, vcluster_factory(nodes=1, isolation="fresh") as other:
                assert one.name != other.name
                assert (one.version, other.version) == ("v1.37.1", "v1.36.4")
        """
    )
    result.assert_outcomes(passed=1)
    one, other = runs.world("open")
    assert (one["isolation"], other["isolation"]) == ("recycle", "fresh")
    assert other["nodes"] == ["node-1"]
    assert {line["holder"] for line in (one, other)} == {"test_it.py::test_a"}
    assert len(runs.world("release")) == 2


def test_a_factory_serves_fixtures_of_any_scope(runs: Runs) -> None:
    result = runs.test(
        """
        import pytest
        @pytest.fixture(scope="module")
        def shared(vcluster_factory):
            with vcluster_factory() as vc: yield vc
        def test_a(shared): pass
        def test_b(shared): pass
        """
    )
    result.assert_outcomes(passed=2)
    assert len(runs.world("open")) == len(runs.world("release")) == 1


def test_a_wrong_argument_of_a_factory_names_what_is_allowed(runs: Runs) -> None:
    result = runs.test(
        """
        def test_a(vcluster_factory):
            with vcluster_factory(isolation="some"): pass
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*SettingsError: isolation='some' is not allowed; allowed: 'recycle' or 'fresh'"])


def test_the_host_tells_what_it_is(runs: Runs) -> None:
    result = runs.test(
        """
        from pathlib import Path
        def test_a(vcluster_host):
            assert (vcluster_host.kind, vcluster_host.version) == ("embedded", "v1.36.4")
            assert vcluster_host.nodes == ("a", "b")
            assert (vcluster_host.kubeconfig, vcluster_host.url) == (Path("/h"), "https://h")
        """
    )
    result.assert_outcomes(passed=1)
    assert [line["event"] for line in runs.world()] == ["host", "shut_down"]


def test_a_baseline_is_laid_after_the_objects_of_the_marker(runs: Runs) -> None:
    (runs.path / "objects.yaml").write_text("{apiVersion: v1, kind: Namespace, metadata: {name: from-marker}}")
    runs.pytester.makeconftest(
        """
        import pytest
        pytest_plugins = ["fake_vcluster"]
        @pytest.fixture(scope="session")
        def vcluster_baseline():
            return lambda vc: vc.apply([{"kind": "Namespace", "metadata": {"name": "from-baseline"}}])
        """
    )
    result = runs.test(
        """
        import pytest
        def names(vc): return [found["metadata"]["name"] for found in vc.objects]
        @pytest.mark.vcluster(manifests="objects.yaml")
        def test_a(vcluster): assert names(vcluster) == ["from-marker", "from-baseline"]
        def test_b(vcluster_session): assert names(vcluster_session) == ["from-baseline"]
        """
    )
    result.assert_outcomes(passed=2)


def test_a_refused_manifest_of_a_marker_is_named_and_the_lease_ends(runs: Runs) -> None:
    (runs.path / "objects.yaml").write_text("{apiVersion: v1, kind: Namespace, metadata: {name: refused}}")
    result = runs.test(
        """
        import pytest
        @pytest.mark.vcluster(manifests="objects.yaml")
        def test_a(vcluster): pass
        """
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*ManifestError: the API server says no*", "*While applying crds and manifests*objects.yaml"]
    )
    assert len(runs.world("release")) == 1


def test_a_cluster_asked_for_by_getfixturevalue_works_alike(runs: Runs) -> None:
    result = runs.test(
        """
        def test_a(request):
            assert request.getfixturevalue("vcluster").name
            assert 0, "own error"
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*own error*", "*Evidence: *"])
    assert [line["event"] for line in runs.world()] == ["open", "collect", "close", "release", "shut_down"]


def test_a_cluster_that_cannot_be_had_is_an_error_of_its_test_only(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_TROUBLE", "open")
    result = runs.test("def test_a(vcluster): pass\ndef test_b(): pass")
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*ProvisionError: no cluster to be had"])


def test_leases_are_announced_per_version(runs: Runs) -> None:
    runs.test(
        """
        import pytest
        def test_a(vcluster): pass
        def test_b(vcluster, vcluster_session): pass
        def test_c(vcluster_module): pass
        def test_d(vcluster_module): pass
        @pytest.mark.vcluster(version="1.35")
        def test_e(vcluster_factory): pass
        @pytest.mark.vcluster(containers=True)
        def test_f(vcluster): pass
        def test_g(): pass
        """
    )
    assert runs.world("open")[0]["expected"] == {"v1.36.4": 4, "v1.35.8": 1}

from __future__ import annotations

import pytest
from plugin_runs import Runs

CRD = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: %s}}\n"
MAP = "{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}}\n"
PREPARED = """
    import os, pathlib, pytest

    def names(vc): return [found["metadata"]["name"] for found in vc.objects]

    def prepare(vc):
        with pathlib.Path("prepared").open("a") as file:
            file.write(f"{os.getpid()} {names(vc)}\\n")
        vc.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "laid"}}])

    @pytest.fixture(scope="session")
    def vcluster_baseline(): return prepare
"""
FAILING = """
    import pytest

    def prepare_everything(vc): raise %s

    @pytest.fixture(scope="session")
    def vcluster_baseline(): return prepare_everything
"""
MANY = """
    @pytest.mark.parametrize("number", range(8))
    def test_a(vcluster, number): pass
"""


def prepared(runs: Runs) -> list[str]:
    path = runs.path / "prepared"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["one process", "xdist"])
def test_many_tests_are_prepared_for_once(runs: Runs, args: list[str]) -> None:
    result = runs.test(PREPARED + MANY, *args)
    result.assert_outcomes(passed=8)
    assert len(prepared(runs)) == len(runs.world("laid")) == 1
    assert len({line["baseline"] for line in runs.world("open")}) == 1
    assert {line["baseline_about"] for line in runs.world("open")} == {""}


def test_it_is_laid_before_the_test_and_only_where_it_is_not_there(runs: Runs) -> None:
    result = runs.test(
        PREPARED
        + """
    def test_a(vcluster): assert names(vcluster) == ["laid"]
    def test_b(vcluster): assert names(vcluster) == []  # cloned, so nothing was applied
    """
    )
    result.assert_outcomes(passed=2)
    assert [line["event"] for line in runs.world()][:2] == ["open", "laid"]


def test_files_come_first_definitions_before_all(runs: Runs) -> None:
    (runs.path / "crd.yaml").write_text(CRD % "definition")
    (runs.path / "objects.yaml").write_text(MAP % "object")
    result = runs.test(
        PREPARED
        + """
    @pytest.mark.vcluster(manifests="objects.yaml", crds="crd.yaml")
    def test_a(vcluster): assert names(vcluster) == ["definition", "object", "laid"]
    """
    )
    result.assert_outcomes(passed=1)
    [line] = prepared(runs)
    assert line.endswith("['definition', 'object']")


def test_markers_that_want_the_same_share_a_baseline_wherever_they_are(runs: Runs) -> None:
    for name, text in (("one", CRD % "a"), ("same", "# a comment\n" + CRD % "a"), ("other", CRD % "b")):
        (runs.path / f"{name}.yaml").write_text(text)
    source = "\n".join(
        f"@pytest.mark.vcluster(crds='{name}.yaml')\ndef test_{name}({fixture}): pass"
        for name, fixture in (("one", "vcluster"), ("same", "vcluster"), ("other", "vcluster"))
    )
    runs.test("import pytest\ndef test_none(vcluster): pass\n" + source).assert_outcomes(passed=4)
    none, one, same, other = (line["baseline"] for line in runs.world("open"))
    assert none == ""
    assert one == same != other != none
    assert len(runs.world("laid")) == 2
    abouts = [line["baseline_about"] for line in runs.world("open")]
    assert abouts == ["", *(str(runs.path / f"{name}.yaml") for name in ("one", "same", "other"))]


def test_a_factory_lays_baselines_too(runs: Runs) -> None:
    (runs.path / "objects.yaml").write_text(MAP % "object")
    result = runs.test(
        PREPARED
        + """
    def test_a(vcluster_factory):
        for expected in (["object", "laid"], []):
            with vcluster_factory(manifests="objects.yaml") as vc: assert names(vc) == expected
        with vcluster_factory() as vc: assert names(vc) == ["laid"]
    """
    )
    result.assert_outcomes(passed=1)
    assert len(runs.world("laid")) == 2


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["one process", "xdist"])
def test_an_error_is_shown_in_full_once_and_others_are_told_where(runs: Runs, args: list[str]) -> None:
    result = runs.test(FAILING % 'OSError("own error\\nsecond line")' + MANY, *args)
    result.assert_outcomes(errors=8)
    result.stdout.fnmatch_lines(
        [
            "*OSError: own error",
            "*second line",
            "*While prepare_everything, which the fixture vcluster_baseline gave, prepared the cluster",
        ]
    )
    assert result.stdout.str().count("def prepare_everything") == 1
    assert sum(line.startswith("E ") and line.endswith("second line") for line in result.outlines) == 1
    [failed] = runs.world("not laid")
    assert (failed["why"], failed["holder"].startswith("test_it.py::test_a")) == ("OSError: own error", True)
    told = f"ProvisionError: The baseline of this cluster could not be prepared; {failed['holder']} tells all about it."
    assert sum(told in line and line.startswith("E ") for line in result.outlines) == 7
    assert len(runs.world("open")) == 1


def test_who_failed_to_prepare_leaves_evidence_and_gives_its_cluster_back(runs: Runs) -> None:
    runs.test(FAILING % "OSError" + MANY, "--vcluster-evidence=left").assert_outcomes(errors=8)
    events = [line["event"] for line in runs.world()]
    assert events == ["open", "not laid", "collect", "close", "release", "shut_down"]
    assert len(list(runs.path.glob("left/*/objects.yaml"))) == 1


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("OSError", "OSError: OSError()"),
        ('OSError(" \\n")', r"OSError: OSError(' \n')"),
        ('OSError("\\n one\\ntwo")', "OSError: one"),
        ('AssertionError("no")', "AssertionError: no"),
        ('pytest.fail.Exception("no")', "Failed: no"),
    ],
    ids=["no message", "white space", "several lines", "assertion", "pytest.fail"],
)
def test_the_reason_is_one_line(runs: Runs, error: str, why: str) -> None:
    runs.test(FAILING % error + MANY).assert_outcomes(errors=8)
    assert [line["why"] for line in runs.world("not laid")] == [why]


def test_who_skips_while_it_prepares_skips_its_test_and_nobody_elses(runs: Runs) -> None:
    result = runs.test(FAILING % 'pytest.skip.Exception("not here")' + MANY, "-rs")
    result.assert_outcomes(skipped=8)
    result.stdout.fnmatch_lines(["SKIPPED *not here"])
    assert not runs.world("not laid")


def test_a_manifest_that_is_refused_is_told_with_the_files_that_were_applied(runs: Runs) -> None:
    path = runs.path / "objects.yaml"
    path.write_text(MAP % "refused")
    result = runs.test(
        """
        import pytest
        pytestmark = pytest.mark.vcluster(manifests="objects.yaml")
        def test_a(vcluster): pass
        def test_b(vcluster): pass
        """
    )
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ManifestError: the API server says no: spec is wrong",
            f"*While applying crds and manifests of @pytest.mark.vcluster: {path}",
            "*test_it.py::test_a tells all about it. ManifestError: the API server says no: spec is wrong",
        ]
    )


def test_a_cluster_that_does_not_come_to_rest_is_told(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_TROUBLE", "laid")
    result = runs.test(PREPARED + MANY)
    result.assert_outcomes(errors=8)
    result.stdout.fnmatch_lines(["*ProvisionError: No baseline could be taken: still changing: configmaps/default/a"])
    assert len(prepared(runs)) == 1


def test_a_baseline_may_be_chosen_folder_by_folder(runs: Runs) -> None:
    for folder in ("one", "two"):
        path = runs.pytester.mkdir(folder)
        (path / "conftest.py").write_text(
            f"import pytest\n@pytest.fixture(scope='session')\ndef vcluster_baseline():\n"
            f"    return lambda vc: vc.apply([{{'metadata': {{'name': '{folder}'}}}}])\n"
        )
        (path / f"test_{folder}.py").write_text(
            f"def test_a(vcluster): assert vcluster.objects[0]['metadata']['name'] == '{folder}'\n"
        )
    runs.again().assert_outcomes(passed=2)
    assert len({line["baseline"] for line in runs.world("laid")}) == 2

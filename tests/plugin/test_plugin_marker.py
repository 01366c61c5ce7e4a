from __future__ import annotations

from pathlib import Path

import pytest
from plugin_runs import Runs

CRD = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: %s}}\n"
NAMES = """
        def names(vc): return [found["metadata"]["name"] for found in vc.objects]
"""


def test_in_marker(runs: Runs) -> None:
    (runs.path / "objects.yaml").write_text(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n"
        "---\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: b}}\n"
    )
    crds = runs.pytester.mkdir("crds")
    (crds / "two.yml").write_text(CRD % "two")
    (crds / "one.yaml").write_text(CRD % "one")
    (crds / "README.md").write_text("not a manifest")
    result = runs.test(
        f"""
        import pytest
        {NAMES}
        @pytest.mark.vcluster(version="1.35", crds="crds", manifests=["*.yaml"], isolation="fresh", nodes=2)
        def test_a(vcluster):
            assert names(vcluster) == ["one", "two", "a", "b"]
            assert vcluster.version == "v1.35.8"
        """
    )
    result.assert_outcomes(passed=1)
    (opened,) = runs.world("open")
    assert (opened["version"], opened["isolation"], opened["nodes"]) == ("v1.35.8", "fresh", ["node-1", "node-2"])


def test_the_closest_marker_counts_for_each_argument(runs: Runs) -> None:
    result = runs.test(
        """
        import pytest
        pytestmark = pytest.mark.vcluster(version="1.35", isolation="fresh", nodes=1)
        @pytest.mark.vcluster(nodes=2)
        class TestA:
            @pytest.mark.vcluster(version="1.37")
            def test_a(self, vcluster): pass
        def test_b(vcluster_module): pass
        """
    )
    result.assert_outcomes(passed=2)
    method, module = runs.world("open")
    assert (method["version"], method["isolation"], len(method["nodes"])) == ("v1.37.1", "fresh", 2)
    assert (module["version"], module["isolation"], len(module["nodes"])) == ("v1.35.8", "fresh", 1)


def test_paths_start_from_the_test_file_then_from_the_root(runs: Runs) -> None:
    (runs.path / "one.yaml").write_text(CRD % "of-root")
    (runs.path / "two.yaml").write_text(CRD % "of-root-too")
    folder = runs.pytester.mkdir("sub")
    (folder / "one.yaml").write_text(CRD % "of-folder")
    (folder / "test_sub.py").write_text(
        "import pytest\n"
        "@pytest.mark.vcluster(crds=['one.yaml', 'two.yaml'])\n"
        "def test_a(vcluster):\n"
        "    assert [found['metadata']['name'] for found in vcluster.objects] == ['of-folder', 'of-root-too']\n"
    )
    runs.again().assert_outcomes(passed=1)


def test_a_cluster_knows_where_the_test_is_that_uses_it(runs: Runs) -> None:
    folder = runs.pytester.mkdir("sub")
    (folder / "test_sub.py").write_text(
        "def test_a(vcluster, vcluster_session, vcluster_factory, pytestconfig):\n"
        "    with vcluster_factory() as made:\n"
        "        for cluster in (vcluster, vcluster_session, made):\n"
        f"            assert [str(path) for path in cluster.near()] == [{str(folder)!r}, str(pytestconfig.rootpath)]\n"
    )
    runs.again().assert_outcomes(passed=1)


VAIN = [
    ("vcluster_module", "crds='x.yaml', nodes=2", "crds, nodes can't be had for one test of vcluster_module, *"),
    ("vcluster_session", "isolation='fresh'", "isolation can't be had for one test of vcluster_session, *"),
]


@pytest.mark.parametrize(("fixture", "arguments", "message"), VAIN)
def test_a_wish_of_one_test_for_a_shared_cluster_is_refused(
    runs: Runs, fixture: str, arguments: str, message: str
) -> None:
    (runs.path / "x.yaml").write_text(CRD % "one")
    result = runs.test(f"import pytest\n@pytest.mark.vcluster({arguments})\ndef test_a({fixture}): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: @pytest.mark.vcluster of test_it.py::test_a: {message}"])
    assert runs.world("open") == []


def test_a_wish_that_chooses_a_shared_cluster_or_is_for_another_one_is_none_in_vain(runs: Runs) -> None:
    runs.test(
        """
        import pytest

        @pytest.mark.vcluster(version="1.35")
        def test_a(vcluster_module): assert vcluster_module.version == "v1.35.8"

        @pytest.mark.vcluster(nodes=2)
        def test_b(vcluster, vcluster_session): pass

        @pytest.mark.vcluster(nodes=2)
        class TestAll:
            def test_c(self, vcluster_module): pass
            def test_d(self, vcluster): pass
        """
    ).assert_outcomes(passed=4)


WRONG = [
    ("versions='1.36'", "got an unexpected keyword argument 'versions'. Allowed, all by name: version, crds, *nodes."),
    ("'1.36'", "too many positional arguments. Allowed, all by name: *"),
    ("version=1.36", "version=1.36 is not allowed; allowed: a text such as '1.36' or '1.36.4'"),
    ("version='1.12'", "Kubernetes 1.12 *is not supported*"),
    ("isolation='none'", "isolation='none' is not allowed; allowed: 'recycle' or 'fresh'"),
    ("containers='yes'", "containers='yes' is not allowed; allowed: True or False"),
    ("nodes=0", "nodes=0 is neither a number from 1 on nor a list of nodes; allowed: *"),
    ("nodes=[{'name': 'a'}, {'name': 'a'}]", "two nodes are called 'a'; *"),
    ("crds=7", "crds=7 is not allowed; allowed: a path or glob, or a list of them"),
    ("crds='https://x/y.yaml'", "'https://x/y.yaml' is a URL; allowed: a path*"),
    ("manifests='nowhere/*.yaml'", "'nowhere/[*].yaml' names no manifest (.yaml, .yml, .json); looked in *"),
    ("manifests='broken.yaml'", "*/broken.yaml, document 2, line 4: is not YAML: *"),
    ("manifests='list.yaml'", "*/list.yaml, document 1, line 2: is a list, not a Kubernetes object (a mapping)"),
    ("manifests='kindless.yaml'", "*/kindless.yaml, document 2, line 3: has no kind, so it is no Kubernetes object"),
    ("manifests='nameless.yaml'", "*/nameless.yaml, document 1, line 1: the Pod has no metadata.name"),
    ("manifests='empty.yaml'", "*/empty.yaml: holds no Kubernetes object"),
    ("manifests='binary.yaml'", "*/binary.yaml: can't be read: *"),
    ("crds='pod.yaml'", "*/pod.yaml: holds the Pod 'a', but crds= takes CustomResourceDefinitions only; *manifests="),
]


@pytest.fixture
def manifests(runs: Runs) -> Path:
    for name, text in {
        "broken.yaml": "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\nkind: Pod\n  spec: {}\n",
        "list.yaml": "# a comment\n- 1\n",
        "kindless.yaml": "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\napiVersion: v1\n",
        "nameless.yaml": "{apiVersion: v1, kind: Pod, metadata: {}}\n",
        "empty.yaml": "---\n# nothing\n",
        "pod.yaml": "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n",
    }.items():
        (runs.path / name).write_text(text)
    (runs.path / "binary.yaml").write_bytes(b"\xff\xfe\xff")
    return runs.path


@pytest.mark.usefixtures("manifests")
@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_wrong_argument_stops_the_run(runs: Runs, arguments: str, message: str) -> None:
    result = runs.test(
        f"""
        import pytest
        def test_before(vcluster): pass
        @pytest.mark.vcluster({arguments})
        def test_a(vcluster): pass
        """
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: @pytest.mark.vcluster of test_it.py::test_a*: {message}"])
    assert not runs.world("open")


def test_wrong_markers_of_all_tests_are_told_at_once(runs: Runs) -> None:
    result = runs.test(
        """
        import pytest
        @pytest.mark.vcluster(isolation=1, containers=2)
        def test_a(vcluster): pass
        @pytest.mark.vcluster(nodes="3")
        def test_b(): pass
        """
    )
    result.stderr.fnmatch_lines(["*test_a: isolation=1*", "*test_a: containers=2*", "*test_b: nodes='3'*"])


def test_a_wrong_marker_stops_a_distributed_run_as_a_usage_error(runs: Runs) -> None:
    result = runs.test(
        """
        import pytest
        @pytest.mark.vcluster(isolation="none")
        def test_a(vcluster): pass
        def test_b(vcluster): pass
        """,
        "-n2",
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: @pytest.mark.vcluster of test_it.py::test_a: isolation='none' is not allowed*"]
    )
    assert not runs.world("open")


def test_wrong_markers_of_deselected_tests_do_not_matter(runs: Runs) -> None:
    result = runs.test(
        """
        import pytest
        @pytest.mark.vcluster(nodes="3")
        def test_a(vcluster): pass
        def test_b(vcluster): pass
        """,
        "-k",
        "test_b",
    )
    result.assert_outcomes(passed=1, deselected=1)


def test_a_test_that_needs_containers_is_skipped_with_one_clear_line(runs: Runs) -> None:
    result = runs.test(
        """
        import pytest
        @pytest.mark.vcluster(containers=True)
        def test_a(vcluster): pass
        """,
        "-rs",
    )
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * needs real containers (containers=True), which --vcluster-host embedded *"])
    assert not runs.world("open")


def test_the_marker_is_registered(runs: Runs) -> None:
    runs.test("", "--markers").stdout.fnmatch_lines(["@pytest.mark.vcluster(version=None, crds=(), manifests=(), *"])

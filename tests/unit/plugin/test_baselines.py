"""What a test wants to find in its cluster, as a digest: equal if the same would be laid, and only then."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.baselines import NOTHING, BaselineId, baseline_id, name_of
from pytest_vcluster.manifests import ManifestFiles
from pytest_vcluster.marker import NO_WISH, Wish

CRD = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: %s}}\n"
MAP = "{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}}\n"
Prepare = Callable[..., object]


def identified(
    prepare: Prepare | None = None, *, crds: tuple[Path, ...] = (), manifests: tuple[Path, ...] = ()
) -> BaselineId:
    return baseline_id(Wish(crds=crds, manifests=manifests), prepare, files=ManifestFiles())


def digest(prepare: Prepare) -> str:
    return identified(prepare).digest


def defined(source: str, name: str = "prepare") -> Any:
    """What a conftest.py with this source defines."""
    namespace: dict[str, Any] = {"__name__": "conftest"}
    exec(compile(dedent(source), "/some/where/conftest.py", "exec"), namespace)
    return namespace[name]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Files with these texts, each of another name."""
    paths: Iterator[Path] = (tmp_path / f"{number}.yaml" for number in range(100))

    def write(text: str) -> Path:
        path = next(paths)
        path.write_text(text)
        return path

    return write


def test_who_wants_nothing_has_no_baseline() -> None:
    assert baseline_id(NO_WISH, None, files=ManifestFiles()) == NOTHING == BaselineId(digest="", about="")


def test_files_count_by_what_is_in_them_not_by_their_names(written: Callable[[str], Path]) -> None:
    same = "# a comment\nkind: CustomResourceDefinition\nmetadata:\n  name: a\napiVersion: apiextensions.k8s.io/v1\n"
    first, second = written(CRD % "a"), written(same)
    assert identified(crds=(first,)).digest == identified(crds=(second,)).digest
    assert len(identified(crds=(first,)).digest) == 16


def test_it_does_not_matter_which_argument_named_a_file_but_what_is_laid_first(written: Callable[[str], Path]) -> None:
    crd, config = written(CRD % "a"), written(MAP % "b")
    assert identified(crds=(crd,), manifests=(config,)).digest == identified(manifests=(crd, config)).digest
    assert identified(manifests=(crd, config)).digest != identified(manifests=(config, crd)).digest


def test_other_contents_make_another_baseline(written: Callable[[str], Path]) -> None:
    paths = [written(text) for text in (CRD % "a", CRD % "b", MAP % "a", CRD % "a" + "---\n" + CRD % "b")]
    digests = {identified(manifests=(path,)).digest for path in paths}
    digests.add(identified(manifests=(paths[0], paths[2])).digest)
    assert len(digests) == 5


def test_a_file_that_changes_between_runs_makes_another_baseline(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(MAP % "a")
    before = identified(manifests=(path,)).digest
    path.write_text(MAP % "b")
    assert identified(manifests=(path,)).digest != before


def test_what_yaml_has_and_json_has_not_is_no_obstacle(written: Callable[[str], Path]) -> None:
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {1: x, b: %s}}"
    dates = {identified(manifests=(written(text % day),)).digest for day in ("2026-11-21", "2026-11-22")}
    assert len(dates) == 2


def test_a_baseline_of_files_is_called_by_them_and_one_that_a_function_made_by_nothing(
    written: Callable[[str], Path],
) -> None:
    crd, config = written(CRD % "a"), written(MAP % "b")
    assert identified(crds=(crd,), manifests=(config,)).about == f"{crd}, {config}"
    assert identified(print, crds=(crd,)).about == ""
    assert identified(print).about == ""


def test_a_function_beside_files_makes_another_baseline(written: Callable[[str], Path]) -> None:
    crd = written(CRD % "a")
    prepare = defined("def prepare(vc): pass")
    assert len({identified(crds=(crd,)).digest, identified(prepare, crds=(crd,)).digest, digest(prepare)}) == 3


BASE = "def prepare(vc, size=1, *, colour='red'):\n    vc.apply({'kind': 'A', 'size': [n for n in (1, 2)]})\n"


def test_the_same_code_imported_anew_is_the_same_function() -> None:
    assert digest(defined(BASE)) == digest(defined(BASE))
    # Comments and the lines that they take have no effect.
    assert digest(defined(BASE)) == digest(defined("# a comment\n\n" + BASE))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("'A'", "'B'"),
        ("vc.apply", "vc.delete"),
        ("[n for n", "[-n for n"),
        ("(1, 2)", "(1, 3)"),
        ("size=1", "size=2"),
        ("colour='red'", "colour='blue'"),
        ("\n", "\n    vc.wait('x', 'y')\n"),
    ],
    ids=["constant", "name", "inner code", "inner constant", "default", "keyword default", "more code"],
)
def test_other_code_or_defaults_make_another_function(old: str, new: str) -> None:
    assert digest(defined(BASE)) != digest(defined(BASE.replace(old, new, 1)))


def test_a_function_of_another_name_or_module_is_another() -> None:
    renamed = defined(BASE.replace("prepare", "other"), "other")
    moved = defined(BASE)
    moved.__module__ = "elsewhere"
    assert len({digest(defined(BASE)), digest(renamed), digest(moved)}) == 3


CLOSED = """
def make(held):
    def prepare(vc):
        vc.apply(held)
    return prepare
def helper(name):
    def help(vc):
        return name
    return help
"""


def test_a_function_is_also_what_it_closes_over() -> None:
    make, helper = defined(CLOSED, "make"), defined(CLOSED, "helper")
    assert digest(make("a")) == digest(make("a"))
    made = [make("a"), make("b"), make({"a": 1}), make(helper("a")), make(helper("b")), make(print)]
    assert len({digest(each) for each in made}) == len(made)
    assert digest(make(helper("a"))) == digest(make(helper("a")))


def test_a_function_that_closes_over_itself_has_a_digest_too() -> None:
    source = """
    def make(step):
        def prepare(vc, depth=3):
            return depth and again(vc, depth - step)
        def again(vc, depth):
            return prepare(vc, depth)
        return prepare
    """
    make = defined(source, "make")
    assert digest(make(1)) == digest(make(1)) != digest(make(2))


def test_a_partial_is_the_function_and_what_was_given_to_it() -> None:
    prepare = defined(BASE)
    made = [
        prepare,
        functools.partial(prepare, size=2),
        functools.partial(prepare, size=3),
        functools.partial(prepare, None, 2),
        functools.partial(prepare, size=2, colour="blue"),
        functools.partial(defined(BASE.replace("'A'", "'B'")), size=2),
    ]
    assert len({digest(each) for each in made}) == len(made)
    given = functools.partial(prepare, size=2, colour="blue"), functools.partial(prepare, colour="blue", size=2)
    assert digest(given[0]) == digest(given[1])


class Preparing:
    """Something that prepares clusters, and is called by what it prepares."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __repr__(self) -> str:
        return f"Preparing({self.what!r})"

    def __call__(self, vc: object) -> None:
        """Prepare."""

    def prepare(self, vc: object) -> None:
        """Prepare."""


@pytest.mark.parametrize("of", [lambda each: each, lambda each: each.prepare], ids=["object", "method"])
def test_an_object_counts_by_how_it_represents_itself(of: Callable[[Preparing], Prepare]) -> None:
    assert digest(of(Preparing("a"))) == digest(of(Preparing("a")))
    assert digest(of(Preparing("a"))) != digest(of(Preparing("b")))


def test_another_object_that_does_not_tell_what_it_is_is_another() -> None:
    class Silent:
        def prepare(self, vc: object) -> None:
            """Prepare."""

    one, other = Silent(), Silent()
    assert digest(one.prepare) == digest(one.prepare) != digest(other.prepare)


def test_a_digest_is_the_same_in_every_process() -> None:
    source = """
    from pytest_vcluster.baselines import baseline_id
    from pytest_vcluster.manifests import ManifestFiles
    from pytest_vcluster.marker import NO_WISH
    def make(kinds):
        def prepare(vc, names={"a", "b", "c"}):
            return [kind for kind in kinds if kind in {"x", "y", "z"}]
        return prepare
    print(baseline_id(NO_WISH, make({"x", "y", "z"}), files=ManifestFiles()).digest)
    """
    found = {
        subprocess.run(
            [sys.executable, "-c", dedent(source)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1, "an xdist worker must know that another one laid its baseline"


@pytest.mark.parametrize(
    ("prepare", "name"),
    [
        (defined(BASE), "prepare"),
        (Preparing("a").prepare, "Preparing.prepare"),
        (Preparing("a"), "Preparing('a')"),
        (functools.partial(print, 1), "functools.partial(<built-in function print>, 1)"),
    ],
)
def test_a_function_is_called_what_people_call_it(prepare: Prepare, name: str) -> None:
    assert name_of(prepare) == name


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.lists(st.text())), max_size=4), st.integers())
def test_equal_values_in_a_closure_make_equal_digests_and_different_ones_do_not(held: object, other: int) -> None:
    make = defined(CLOSED, "make")
    assert digest(make(held)) == digest(make(held))
    assert digest(make(held)) != digest(make(other))

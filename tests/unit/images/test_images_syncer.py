"""The syncer's image: what goes into its context, and what is said when there is no way to it."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path

import pytest
import vcluster_syncer

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.images import syncer
from pytest_vcluster.toolchain import pypi
from pytest_vcluster.toolchain.failures import WayFailed


@pytest.fixture
def asked(monkeypatch):
    """What would have been installed from PyPI."""
    calls = []

    def install(requirements, to, **others):
        calls.append((list(requirements), others))
        (to / "aiohttp").mkdir(parents=True)
        (to / "bin").mkdir()

    monkeypatch.setattr(pypi, "install", install)
    return calls


@pytest.fixture
def docker(tmp_path):
    """A Docker that notes what it is told, and what it was given to build."""
    program = tmp_path / "docker"
    program.write_text(
        f"""#!/bin/sh
echo "$@" >> {tmp_path}/calls
case "$1" in
  version) echo ${{ARCH:-arm64}} ;;
  image) test -e {tmp_path}/built ;;
  build)
    for last; do :; done
    ls -R "$last" > {tmp_path}/built
    test -z "$FAILS" || {{ echo no space left >&2; exit 1; }} ;;
esac
"""
    )
    program.chmod(0o755)
    return program


def build(docker):
    told = []
    syncer.build("a/b:c", "a/b:d", environ={}, progress=told.append, docker=str(docker))
    return told


def test_it_is_called_after_the_installed_syncer():
    assert syncer.default_tag() == f"pytest-vcluster/syncer:{metadata.version('vcluster-syncer')}"


def test_one_of_another_content_is_called_otherwise(monkeypatch, tmp_path):
    tag = syncer.tag_of_installed()
    assert tag.startswith(f"{syncer.default_tag()}-")
    assert tag == syncer.tag_of_installed()
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM elsewhere\n")
    monkeypatch.setattr(syncer, "dockerfile_of", lambda: dockerfile)
    assert syncer.tag_of_installed() != tag


def test_all_that_the_syncer_needs_is_pinned_to_what_is_installed_here():
    needed = dict(each.split("==") for each in syncer.requirements())
    assert {"aiohttp", "orjson", "pyyaml", "yarl", "multidict"} <= set(needed)
    assert not {"pytest", "kubernetes", "vcluster-syncer"} & set(needed)
    assert all(metadata.version(name) == version for name, version in needed.items())


def test_the_context_holds_the_installed_syncer_and_wheels_for_linux(asked, tmp_path):
    syncer.fill(tmp_path, machine="aarch64", environ={"PIP_INDEX_URL": "http://mirror"})
    [(requirements, others)] = asked
    assert set(requirements) == syncer.requirements()
    assert others["target"] == pypi.Foreign(machine="aarch64", python="3.13")
    assert others["environ"] == {"PIP_INDEX_URL": "http://mirror"}
    installed = Path(vcluster_syncer.__file__).parent
    packages = tmp_path / "packages"
    assert sorted(path.name for path in packages.iterdir()) == ["aiohttp", "vcluster_syncer"]
    made = {path.relative_to(packages / "vcluster_syncer") for path in (packages / "vcluster_syncer").rglob("*.py")}
    assert made == {path.relative_to(installed) for path in installed.rglob("*.py")}
    assert not list(packages.rglob("__pycache__"))


def test_the_dockerfile_is_for_the_python_that_wheels_are_fetched_for(asked, tmp_path):
    syncer.fill(tmp_path, machine="x86_64", environ={})
    text = (tmp_path / "Dockerfile").read_text()
    assert re.search(rf"^FROM python:{re.escape(syncer.PYTHON)}-slim$", text, re.MULTILINE)
    assert "USER 65532:65532" in text
    assert json.loads(text.rpartition("ENTRYPOINT ")[2]) == ["python", "-m", "vcluster_syncer"]


def test_another_base_takes_the_place_of_the_official_one(asked, tmp_path):
    syncer.fill(tmp_path, machine="x86_64", environ={}, base="mirror/python:3.13-slim")
    froms = re.findall("^FROM (.*)$", (tmp_path / "Dockerfile").read_text(), re.MULTILINE)
    assert froms == ["mirror/python:3.13-slim"]


def test_builds_for_the_machine_of_docker(asked, docker, tmp_path):
    told = build(docker)
    assert asked[0][1]["target"].machine == "aarch64"
    assert "aarch64" in told[0]
    assert "vcluster_syncer" in (tmp_path / "built").read_text()
    calls = (tmp_path / "calls").read_text()
    assert "build --tag a/b:c --tag a/b:d /" in calls
    context = Path(calls.split()[-1])
    assert not context.exists()
    assert syncer.is_there("a/b:c", docker=str(docker))


def test_tells_what_docker_said_when_it_could_not_build(asked, docker, monkeypatch):
    monkeypatch.setenv("FAILS", "1")
    with pytest.raises(ToolchainError, match=r"a/b:c could not be built. docker says:\nno space left"):
        build(docker)


def test_without_an_index_the_way_to_one_is_told(docker, monkeypatch):
    def install(*_, **__):
        raise WayFailed("pip: no route to host")

    monkeypatch.setattr(pypi, "install", install)
    with pytest.raises(ToolchainError, match=r"linux/aarch64: pip: no route to host\nSet up pip's access"):
        build(docker)


def test_without_docker_it_says_so(tmp_path):
    with pytest.raises(ToolchainError, match="not on PATH"):
        build(tmp_path / "none")
    with pytest.raises(ToolchainError, match="Install Docker"):
        syncer.is_there("a/b:c", docker=str(tmp_path / "none"))

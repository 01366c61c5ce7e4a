"""Whatever ends a run, and whenever, its kind cluster is gone a minute later, and nobody else's is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from kind_lives import Life, containers, docker, kind_binary, remove, until

from pytest_vcluster.settings import Settings

pytestmark = pytest.mark.timeout(600)  # a node takes minutes to start where others keep the machine busy

Live = Callable[..., Life]
SERVICE, REAPER = "service/__main__.py", "reaper.py"
SHARED = "pytest-shared-for-tests"


@pytest.fixture
def foreign() -> Iterator[str]:
    """A container that could be a cluster's node: of a run of somebody else who uses this Docker."""
    name = "pytest-vcluster-f0e1a2b3"
    mark = "/dev/null:/pytest-vcluster/0123456789abcdef"
    label = f"io.x-k8s.kind.cluster={name}"
    docker("run", "-d", "--name", f"{name}-control-plane", "--label", label, "-v", mark, "busybox:1.37", "sleep", "999")
    yield name
    docker("rm", "-f", "-v", f"{name}-control-plane")


def sweep(life: Life) -> str:
    """What `pytest-vcluster sweep` says."""
    script = "import sys; from pytest_vcluster.cli import main; sys.exit(main(['sweep']))"
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=life.environ, capture_output=True, text=True, check=True, timeout=120).stdout


def test_a_cluster_that_is_there_ends_with_its_run(settings: Settings, live: Live) -> None:
    images = "python:3.13-slim" if docker("images", "-q", "python:3.13-slim") else ""
    life = live(settings, images=images)
    facts = life.facts()
    assert containers(life.cluster) == facts["nodes"] == [f"{life.cluster}-control-plane"]
    assert "Starting control-plane" in life.said()
    listed = docker("exec", facts["nodes"][0], "crictl", "images", "--output=json")
    tags = [tag for each in json.loads(listed)["images"] for tag in each["repoTags"]]
    assert not images or f"docker.io/library/{images}" in tags
    assert not (life.temporary / "the-users-own").exists()
    life.process.kill()  # whoever wanted it
    life.assert_gone()


def test_a_cluster_that_is_being_made_ends_with_its_run(settings: Settings, live: Live) -> None:
    life = live(settings)
    life.until_nodes_appear()
    life.kill(SERVICE)
    life.process.kill()  # else a service that takes its place makes another
    life.assert_gone()


@pytest.mark.parametrize("memory", ["its directory is there", "nothing is left to remember it"])
def test_what_nobody_was_left_to_remove_the_next_sweep_removes(
    settings: Settings, live: Live, foreign: str, memory: str
) -> None:
    life = live(settings)
    life.until_nodes_appear()
    life.process.kill()
    life.kill(SERVICE, REAPER)
    until(lambda: not life.pids(""), seconds=10, about=lambda: life.pids(""))
    assert containers(life.cluster)
    if memory == "nothing is left to remember it":
        shutil.rmtree(life.directory.parent)
    assert life.directory.name in sweep(life)
    life.assert_gone()
    assert containers(foreign)


def test_a_live_runs_cluster_is_not_swept(settings: Settings, live: Live) -> None:
    life = live(settings)
    life.until_nodes_appear()
    assert sweep(life) == ""
    assert containers(life.cluster)
    life.kill(SERVICE)
    life.process.kill()
    life.assert_gone()


@pytest.fixture
def shared(settings: Settings) -> Iterator[Settings]:
    """Settings with a cluster that is shared and kept, until the end of the test."""
    yield replace(settings, reuse=SHARED)
    remove(SHARED)


def test_runs_share_a_cluster_by_name_which_outlives_them(shared: Settings, live: Live) -> None:
    lives = [live(shared), live(shared)]
    names = [life.facts()["name"] for life in lives]
    assert names == [SHARED, SHARED]
    assert containers(SHARED) == [f"{SHARED}-control-plane"]
    for life in lives:
        life.process.kill()
        until(lambda life=life: not life.directory.exists(), seconds=60, about=life.said)
    assert containers(SHARED)
    docker("stop", f"{SHARED}-control-plane")
    later = live(shared)
    facts = later.facts()
    kubectl = ["docker", "exec", facts["nodes"][0], "kubectl", "get", "nodes", "-o", "name"]
    assert subprocess.run(kubectl, capture_output=True, text=True, check=True).stdout
    assert "starting it again" in later.said()


def test_a_shared_cluster_that_a_run_dies_over_is_removed(shared: Settings, live: Live) -> None:
    life = live(shared)
    life.until_nodes_appear()
    life.kill(SERVICE)
    life.process.kill()
    life.assert_gone()


def test_a_cluster_of_that_name_that_is_not_ours_is_left_alone(settings: Settings, live: Live) -> None:
    name = "not-for-tests"
    label = f"io.x-k8s.kind.cluster={name}"
    docker("run", "-d", "--name", f"{name}-control-plane", "--label", label, "busybox:1.37", "sleep", "999")
    try:
        life = live(replace(settings, reuse=name))
        assert life.process.wait(timeout=60) != 0
        assert "pytest-vcluster did not make" in life.said()
        assert f"{kind_binary()} delete cluster --name {name}" in life.said()
        assert containers(name)
    finally:
        remove(name)


def test_a_node_image_that_does_not_exist_is_named(settings: Settings, live: Live) -> None:
    life = live(replace(settings, kind_image="kindest/node:v0.0.1-none"))
    assert life.process.wait(timeout=120) != 0
    assert "kindest/node:v0.0.1-none" in life.said()
    assert "--vcluster-kind-image" in life.said()
    assert not containers(life.cluster)


def test_a_docker_that_is_not_there_is_told(settings: Settings, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix:///{os.urandom(4).hex()}.sock")
    life = live(settings)
    assert life.process.wait(timeout=60) != 0
    assert "`docker info` says: " in life.said()
    assert "Start Docker" in life.said()

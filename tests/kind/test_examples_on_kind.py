"""Examples on real nodes, run as a user runs them: those that need containers, and those of the embedded host.

The latter name images that nobody has, for no container runs there; here something real is loaded under these names, so
the examples stay as they are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kind_lives import docker, kind_binary

from pytest_vcluster.toolchain import Component, Sources, Wanted, locate

pytestmark = pytest.mark.timeout(1600)

EXAMPLES = Path(__file__).parents[2] / "examples"
# What the outer pytest tells its own processes; PYTEST_VCLUSTER_* is the user's.
OF_THE_OUTER_RUN = ("PYTEST_XDIST_", "PYTEST_CURRENT_TEST", "PYTEST_ADDOPTS", "PYTEST_VERSION", "KUBECONFIG")
SECONDS = 1500

KEPT = os.environ.get("PYTEST_VCLUSTER_REUSE")
"""A kind cluster that is to be there afterwards, too."""
INVENTED = tuple(f"registry.example.org/{name}" for name in ("web:1.0", "shop:1.0", "shop:2.0"))
STANDS_FOR_ALL = "registry.k8s.io/pause:3.10"
LOADING = f"""
import pytest

@pytest.mark.parametrize("image", {INVENTED!r})
def test_load(vcluster_session, image):
    vcluster_session.load_image(image)
"""


def run(project: Path, reuse: str, *arguments: str) -> str:
    """Run the tests of `project` on the kind cluster `reuse`; what pytest prints, which is all well."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(OF_THE_OUTER_RUN)}
    if file := environ.get("PYTEST_VCLUSTER_KIND_CONFIG"):
        environ["PYTEST_VCLUSTER_KIND_CONFIG"] = str(Path(file).absolute())
    environ["PATH"] = os.pathsep.join([str(helm().parent), environ["PATH"]])
    options = ["--vcluster-host", "kind", "--vcluster-reuse", reuse, "--vcluster-timeout", "180"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", "pytest.ini", *options, *arguments],
        cwd=project,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout[-12000:] + done.stderr[-2000:]
    assert " warning" not in done.stdout, done.stdout[-6000:]
    return done.stdout


def helm() -> Path:
    """The helm that `make kind` has brought; users have theirs."""
    found = locate(Wanted.known(Component.HELM), Sources.from_environ(os.environ, offline=True))
    assert found is not None, "helm is not here: python -m pytest_vcluster.toolchain helm"
    return found.path


@pytest.fixture(scope="module")
def reuse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A kind cluster for all examples, which has the invented images."""
    name = KEPT or f"examples-{os.getpid()}"
    folder = tmp_path_factory.mktemp("loading")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_loading.py").write_text(LOADING)
    try:
        for image in INVENTED:
            docker("tag", STANDS_FOR_ALL, image)
        run(folder, name)
        yield name
    finally:
        docker("rmi", *INVENTED)
        if not KEPT:
            subprocess.run([kind_binary(), "delete", "cluster", "--name", name], check=True, timeout=120)


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An example as somebody has it who has nothing but it."""
    folder = tmp_path / request.param
    return shutil.copytree(EXAMPLES / folder.name, folder, ignore=shutil.ignore_patterns(".*_cache", "__pycache__"))


@pytest.mark.parametrize(
    ("project", "passed", "workers"),
    [("kopf_operator", 21, 2), ("plain_client", 5, 2), ("networking", 21, 2), ("in_cluster_operator", 14, 0)],
    indirect=["project"],
)
def test_an_example_passes(project, passed, workers, reuse):
    text = run(project, reuse, "-n", str(workers))

    assert re.search(rf"=+ {passed} passed in ", text), text
    assert re.search(r"\d+ leases on host kind \(v1\.36\.\d+\)", text), text


@pytest.mark.parametrize(("project", "passed"), [("crd_versions", 19), ("helm_chart", 15)], indirect=["project"])
def test_an_example_passes_on_three_versions_at_once(project, passed, reuse):
    text = run(project, reuse, "-n", "3")

    assert re.search(rf"=+ {passed} passed in ", text), text
    assert re.search(r"leases on host kind \(v1\.35\.\d+, v1\.36\.\d+, v1\.37\.\d+\)", text), text

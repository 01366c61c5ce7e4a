"""What people install: built as for a release, and looked into."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def uv():
    found = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".make" / "uv" / "bin" / "uv")
    assert Path(found).exists(), "run `make packaging`, which installs uv"
    return found


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    directory = tmp_path_factory.mktemp("wheels")
    subprocess.run(
        [uv(), "build", "--all-packages", "--wheel", "--quiet", "--python", sys.executable, "--out-dir", directory],
        cwd=ROOT,
        check=True,
    )
    return {path.name.split("-")[0]: path for path in directory.glob("*.whl")}


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_there_are_two_distributions(wheels):
    assert set(wheels) == {"pytest_vcluster", "vcluster_syncer"}


def test_the_plugin_brings_its_types_and_data_and_nothing_else(wheels):
    inside = names(wheels["pytest_vcluster"])
    assert {"pytest_vcluster/py.typed", "pytest_vcluster/controlplane/kwok-stages.yaml"} <= set(inside)
    tops = {name.split("/")[0] for name in inside}
    assert tops == {"pytest_vcluster", next(top for top in tops if top.endswith(".dist-info"))}


def test_the_syncer_is_a_distribution_of_its_own(wheels):
    inside = names(wheels["vcluster_syncer"])
    assert "vcluster_syncer/py.typed" in inside
    assert not any(name.startswith("pytest_vcluster/") for name in inside)


def test_pytest_finds_the_plugin_and_people_the_command(wheels):
    with zipfile.ZipFile(wheels["pytest_vcluster"]) as archive:
        entry_points = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        text = archive.read(entry_points).decode()
    assert "[pytest11]\nvcluster = pytest_vcluster.plugin" in text
    assert "pytest-vcluster = pytest_vcluster.cli:main" in text


@pytest.mark.parametrize(
    ("distribution", "allowed"),
    [
        (
            "pytest_vcluster",
            {"cryptography", "filelock", "kubernetes", "pytest", "pyyaml", "urllib3", "vcluster-syncer"},
        ),
        ("vcluster_syncer", {"aiohttp", "orjson", "pyyaml"}),
    ],
)
def test_dependencies_are_few_and_known(wheels, distribution, allowed):
    with zipfile.ZipFile(wheels[distribution]) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    required = {
        line.removeprefix("Requires-Dist: ").split(">")[0].split(";")[0].strip()
        for line in lines
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    }
    assert required == allowed


def test_the_plugin_brings_the_chart_and_the_dockerfile_as_they_are(wheels):
    shipped = {path: Path(ROOT / "charts" / "vcluster" / path).read_bytes() for path in chart_files()}
    with zipfile.ZipFile(wheels["pytest_vcluster"]) as archive:
        prefix = "pytest_vcluster/_chart/"
        inside = {
            name.removeprefix(prefix): archive.read(name) for name in archive.namelist() if name.startswith(prefix)
        }
        assert archive.read("pytest_vcluster/_image/Dockerfile") == (ROOT / "syncer" / "Dockerfile").read_bytes()
    assert inside == shipped


def chart_files():
    command = ["git", "ls-files", "."]
    return subprocess.run(
        command, cwd=ROOT / "charts" / "vcluster", capture_output=True, text=True, check=True
    ).stdout.split()


def test_installed_it_finds_what_it_brought(wheels, tmp_path):
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)
    program = (
        "from pytest_vcluster.hosts.chart import chart_folder; from pytest_vcluster.images import syncer;"
        "print(chart_folder(), syncer.dockerfile_of(), syncer._source(), sep='\\n')"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == [
        str(tmp_path / "pytest_vcluster" / "_chart"),
        str(tmp_path / "pytest_vcluster" / "_image" / "Dockerfile"),
        str(tmp_path / "vcluster_syncer"),
    ]

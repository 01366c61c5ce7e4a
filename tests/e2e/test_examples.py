"""Each example, run as a user runs it: a copy of its folder, a pytest of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


# What the outer pytest tells its own processes; PYTEST_VCLUSTER_* is the user's.
OF_THE_OUTER_RUN = ("PYTEST_XDIST_", "PYTEST_CURRENT_TEST", "PYTEST_ADDOPTS", "PYTEST_VERSION", "KUBECONFIG")


def run(example, tmp_path, *arguments):
    project = tmp_path / example
    shutil.copytree(EXAMPLES / example, project, ignore=shutil.ignore_patterns(".pytest_cache", "__pycache__"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OF_THE_OUTER_RUN)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", *arguments],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " warning" not in done.stdout, done.stdout[-6000:]
    return done.stdout


@pytest.mark.timeout(700)
@pytest.mark.parametrize(
    ("example", "passed", "leases"),
    # vcluster_module is one cluster for each worker that gets one of the module's tests
    [("kopf_operator", 21, (19, 20)), ("plain_client", 5, (5,))],
)
def test_an_example_passes_and_the_summary_tells_what_it_used(example, passed, leases, tmp_path):
    text = run(example, tmp_path)

    assert re.search(rf"=+ {passed} passed in ", text), text
    assert int(re.search(r"(\d+) leases on host embedded \(v1\.36\.4\)", text)[1]) in leases
    assert re.search(r"time to a pristine cluster: p50 .+, max .+", text)


@pytest.mark.versions
@pytest.mark.timeout(700)
def test_the_same_tests_run_on_three_versions(tmp_path):
    text = run("crd_versions", tmp_path, "-v")

    assert re.search(r"=+ 19 passed in ", text), text
    for version in ("v1.35.8", "v1.36.4", "v1.37.1"):
        assert f"PASSED test_cluster.py::test_a_deployment_becomes_available[{version}]" in text
    assert "leases on host embedded (v1.35.8, v1.36.4, v1.37.1)" in text

"""Each example, run as a user runs it: a copy of its folder, a pytest of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(example, tmp_path, *arguments):
    project = tmp_path / example
    shutil.copytree(EXAMPLES / example, project, ignore=shutil.ignore_patterns(".pytest_cache", "__pycache__"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", *arguments],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.timeout(700)
@pytest.mark.parametrize("example", ["kopf_operator", "plain_client"])
def test_the_example_works_and_the_summary_tells_what_it_used(example, tmp_path):
    text = run(example, tmp_path)
    leases = int(re.search(r"(\d+) leases on host embedded", text)[1])
    passed = int(re.search(r"(\d+) passed", text)[1])
    assert leases > 0
    assert passed > 0
    assert re.search(r"time to a pristine cluster: p50 .+, max .+", text)


@pytest.mark.timeout(700)
def test_the_same_tests_run_on_three_versions(tmp_path):
    text = run("crd_versions", tmp_path, "-v")
    for version in ("v1.35.8", "v1.36.4", "v1.37.1"):
        assert re.search(rf"PASSED .*\[{re.escape(version)}\]", text), text
    assert "(v1.35.8, v1.36.4, v1.37.1)" in text

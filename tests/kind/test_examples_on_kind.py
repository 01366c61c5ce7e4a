"""Examples that need real containers, run as a user runs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.timeout(1500)
def test_networking(tmp_path):
    folder = shutil.copytree(EXAMPLES / "networking", tmp_path / "networking")
    # Workers of this run are not those of that one.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    command = [sys.executable, "-m", "pytest", "-c", "pytest.ini", "-n", "2", "--vcluster-timeout", "180"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=1400)
    assert re.search(r"=+ 21 passed in ", done.stdout), done.stdout + done.stderr
    assert re.search(r"\d+ leases on host kind \(v1\.36\.4\)", done.stdout)

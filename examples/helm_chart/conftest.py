import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHART = Path(__file__).parent / "chart"


@pytest.fixture
def helm(vcluster):
    """Runs helm in the cluster of the test: `helm("status", "page")`; what it prints is the answer."""
    binary = shutil.which("helm")
    assert binary, "helm is not on the PATH: see https://helm.sh/docs/intro/install/"
    environment = {**os.environ, "KUBECONFIG": str(vcluster.kubeconfig)}

    def run(*words):
        done = subprocess.run([binary, *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"helm {' '.join(map(str, words))}\n{done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def release(helm):
    """The chart, installed as `page`, all of it ready."""
    helm("install", "page", CHART, "--wait", "--timeout", "5m")
    return "page"

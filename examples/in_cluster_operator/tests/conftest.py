import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_vcluster import KubectlError

PROJECT = Path(__file__).parents[1]
IMAGE = "example.org/greeter:test"


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """The operator's image, built of this checkout."""
    context = tmp_path_factory.mktemp("image") / "operator"
    shutil.copytree(PROJECT / "operator", context)
    for_the_image = ("--only-binary=:all:", "--python-version=3.13", f"--platform=manylinux2014_{platform.machine()}")
    packages, requirements = context / "packages", context / "requirements.txt"
    run(
        sys.executable, "-m", "pip", "install", "-q", "--no-compile", "-t", packages, "-r", requirements, *for_the_image
    )
    run("docker", "build", "--quiet", "--tag", IMAGE, context)
    return IMAGE


@pytest.fixture(scope="module")
def cluster(vcluster_module, image):
    """A cluster in which the operator runs, deployed by its chart."""
    vcluster_module.load_image(image)
    environment = {**os.environ, "KUBECONFIG": str(vcluster_module.kubeconfig)}
    where = ("--namespace", "operators", "--create-namespace")
    run("helm", "install", "greeter", PROJECT / "chart", *where, "--wait", "--timeout", "10m", env=environment)
    wait_for_webhooks(vcluster_module)
    return vcluster_module


def wait_for_webhooks(cluster, timeout=60):
    """Wait until the API server reaches the operator: a Service takes a moment to lead to a pod that is ready."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return cluster.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(made("any", who="world")))
        except KubectlError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def made(name, version="v1", **spec):
    return {"apiVersion": f"example.org/{version}", "kind": "Greeting", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def greeting():
    """Makes Greetings."""
    return made

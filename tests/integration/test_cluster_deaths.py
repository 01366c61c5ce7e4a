"""What a test sees of a process of its cluster that dies under it."""

import os

from pytest_vcluster.toolchain.model import cache_folder

# pytester gives the runs it starts a home folder of their own, which has no binaries.
CACHE = cache_folder(os.environ)

pytest_plugins = ["pytester"]

TESTS = """
import os, signal, time
from pathlib import Path
import pytest
from pytest_vcluster import ComponentDied

def kill(component, cluster):
    # The process begins as another program, which becomes the component.
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().decode()
            except OSError:
                continue
            if command.partition("\\0")[0].endswith("/" + component) and cluster.name in command:
                os.kill(int(process.name), signal.SIGKILL)
                return
    raise AssertionError(f"no {component} of {cluster.name} runs")

def test_apiserver(vcluster):
    vcluster.get("ns")
    kill("kube-apiserver", vcluster)
    with pytest.raises(ComponentDied, match="kube-apiserver.*killed by signal 9"):
        vcluster.get("ns")
    with pytest.raises(ComponentDied):
        vcluster.kubectl("get", "ns")
    print("SEEN apiserver")

def test_controller_manager_in_a_wait(vcluster):
    kill("kube-controller-manager", vcluster)
    began = time.monotonic()
    with pytest.raises(ComponentDied, match="kube-controller-manager"):
        vcluster.wait("deployment/never", "condition=Available", timeout=60)
    assert time.monotonic() - began < 30
    print("SEEN controller manager")

def test_next(vcluster):
    assert vcluster.get("ns", "default")
"""


def test_a_death_is_what_every_failing_call_tells_and_the_next_test_has_a_healthy_cluster(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_VCLUSTER_CACHE", str(CACHE))
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-rA", "-p", "no:cacheprovider")
    # A test whose cluster broke fails whatever it made of it; that it saw the right errors is in its output.
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines_random(
        ["SEEN apiserver", "SEEN controller manager", "*ComponentDied*killed by signal 9*"]
    )

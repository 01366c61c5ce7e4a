from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from plugin_runs import LIGHT, Runs

HEAVY = ("kubernetes", "urllib3", "yaml", "cryptography", "asyncio", "ssl", "http.client", "socket", "filelock")

LOOK = """
import json, os, sys, threading
from pathlib import Path
def test_a(request):
    root = request.config.rootpath
    modules = [name for name in sys.modules]
    sockets = [os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.exists() and "socket" in os.readlink(fd)]
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    threads = threading.active_count()
    (root / "seen.json").write_text(json.dumps([modules, sockets, children, threads]))
"""


def run_alone(runs: Runs, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", *LIGHT, "-p", "no:xdist", "-p", "no:timeout", *args]
    return subprocess.run(command, cwd=runs.path, check=True, capture_output=True, text=True)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_run_without_clusters_starts_nothing_and_loads_nothing_heavy(runs: Runs) -> None:
    runs.pytester.makeconftest("")
    (runs.path / "test_it.py").write_text(LOOK)
    done = run_alone(runs)
    modules, sockets, children, threads = json.loads((runs.path / "seen.json").read_text())
    assert "pytest_vcluster.plugin" in modules
    assert [name for name in modules if name.startswith(("pytest_vcluster.service", "pytest_vcluster.hold"))] == []
    baseline = subprocess.run(
        [sys.executable, "-c", "import sys, pytest, _pytest.junitxml; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert [name for name in HEAVY if name in modules and name not in baseline] == []
    assert (sockets, children, threads) == ([], [], 1)
    assert "= vcluster =" not in done.stdout


def test_a_run_without_clusters_touches_no_run_service(runs: Runs) -> None:
    result = runs.test("def test_a(): pass")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*= vcluster =*")
    assert not runs.world("open")


def test_the_modules_of_every_run_load_nothing_heavy() -> None:
    script = (
        "import sys, pytest, _pytest.terminal, _pytest.capture, _pytest.tmpdir; before = set(sys.modules);"
        "import pytest_vcluster.plugin; print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    added = {name.partition(".")[0] for name in done.stdout.split()}
    assert added == {"pytest_vcluster"}


def test_the_kubeconfig_of_the_user_is_neither_read_nor_changed(runs: Runs) -> None:
    (runs.path / "test_it.py").write_text(
        """
import os
from pathlib import Path

def test_a(vcluster):
    assert os.environ["KUBECONFIG"] == "/the/users/own"
    assert 0
"""
    )
    (runs.path / "sitecustomize.py").write_text(
        """
import sys
def watch(event, args):
    if event == "open" and ("/the/users/own" in str(args[0]) or ".kube/config" in str(args[0])):
        print("READ", args[0], file=sys.__stdout__, flush=True)
sys.addaudithook(watch)
"""
    )
    environ = {**os.environ, "KUBECONFIG": "/the/users/own", "PYTHONPATH": str(runs.path)}
    command = [sys.executable, "-m", "pytest", *LIGHT, "-s"]
    done = subprocess.run(command, cwd=runs.path, env=environ, capture_output=True, text=True, check=False)
    assert "1 failed" in done.stdout
    assert "READ" not in done.stdout

"""Whatever ends a run on a host that is there already, the host has nothing of it a minute later."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from kind_lives import GONE_SECONDS, until
from run_of_pytest import Run
from teams import NAMESPACE, arguments, environment

pytestmark = pytest.mark.timeout(900)

OF_RUNS = "pytest-vcluster/run"
CARRIED = "vcluster-syncer/tenant"
KINDS = "pods,services,endpointslices,statefulsets,secrets,configmaps,serviceaccounts,roles,rolebindings,leases"
SUITE = """
    import os, pathlib, time

    SIGNS = pathlib.Path(os.environ["SIGNS"])

    def test_hold(vcluster):
        container = {"name": "main", "image": "busybox:1.37", "command": ["sleep", "1000"]}
        vcluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
                        "spec": {"containers": [container]}})
        vcluster.wait("pod/p", "Ready")
        (SIGNS / f"holding-1-{os.getpid()}").touch()
        deadline = time.monotonic() + 300
        while not (SIGNS / "go").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert vcluster.get("pod", "p")

    def test_after(vcluster):
        assert vcluster.get("pods") == []
"""


@pytest.fixture
def left(host_kubectl) -> Callable[[], list[str]]:
    """What the host has of runs."""

    def find() -> list[str]:
        found = [
            host_kubectl("get", KINDS, "--namespace", NAMESPACE, "--selector", selector, "--output", "name").split()
            for selector in (OF_RUNS, CARRIED)
        ]
        return sorted({name for names in found for name in names})

    return find


@pytest.fixture
def held(team, left) -> Iterator[Run]:
    """A run whose test holds a cluster with a pod in it."""
    assert left() == []
    run = Run(*arguments(team), suite=SUITE, workers=1, environ=environment())
    try:
        run.wait_for_holders(1, seconds=400)
        assert any(name.startswith("statefulset") for name in left())
        yield run
    finally:
        run.close()


def assert_gone(left: Callable[[], list[str]]) -> None:
    until(lambda: not left(), seconds=GONE_SECONDS, about=left)


def test_after_everything_is_killed_at_once(held: Run, left: Callable[[], list[str]]) -> None:
    pids = held.pids()
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)
    assert_gone(left)


def test_after_the_service_and_who_asked_for_it_are_killed(held: Run, left: Callable[[], list[str]]) -> None:
    os.kill(held.pid_of("service/__main__.py "), signal.SIGKILL)
    held.process.kill()
    assert_gone(left)


def test_after_ctrl_c(held: Run, left: Callable[[], list[str]]) -> None:
    os.killpg(held.process.pid, signal.SIGINT)
    held.finish()
    assert_gone(left)
    held.assert_nothing_left(within=10)


def test_after_the_service_is_killed_its_test_fails_and_a_later_one_runs(
    held: Run, left: Callable[[], list[str]]
) -> None:
    os.kill(held.pid_of("service/__main__.py "), signal.SIGKILL)
    time.sleep(0.3)  # the connection breaks at once; what tells of it may not
    held.go()
    text = held.finish(seconds=400)
    assert "1 passed" in text, text
    assert "run service of this test's cluster died" in text, text
    assert_gone(left)


def test_after_a_worker_crashed_a_later_test_runs(held: Run, left: Callable[[], list[str]]) -> None:
    [worker] = held.wait_for_holders(1)
    os.kill(worker, signal.SIGKILL)
    held.go()
    text = held.finish(seconds=400)
    assert "crashed" in text, text
    assert "1 passed" in text, text
    assert_gone(left)

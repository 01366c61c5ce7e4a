"""Whatever ends a run, nothing of it remains: no process, no socket, no directory; and other runs don't notice."""

import os
import signal
import sys
import time

import pytest
from run_of_pytest import Run

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(600),  # whole runs of pytest, each with a host of its own
]

# What a command line holds -> what people call it
NAMES = {"service/__main__.py ": "run service", "-m vcluster_syncer ": "syncer", "/etcd --": "etcd"}

# The order matters: xdist hands out tests in pairs, so each of two workers holds a cluster first.
SUITE = """
    import os, pathlib, time

    SIGNS = pathlib.Path(os.environ["SIGNS"])
    LATER = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}}

    def until(look):
        deadline = time.monotonic() + 240
        while not look():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def hold(vcluster, number):
        (SIGNS / f"holding-{number}-{os.getpid()}").touch()
        until((SIGNS / "go").exists)
        if (SIGNS / "killed").exists():
            until(vcluster.lease.deaths)
        vcluster.get("Namespace")

    # The host comes after the first cluster, and is there when both hold theirs.
    def test_hold_one(vcluster, vcluster_host):
        hold(vcluster, 1)

    def test_after_one(vcluster):
        vcluster.apply(LATER)

    def test_hold_two(vcluster, vcluster_host):
        hold(vcluster, 2)

    def test_after_two(vcluster):
        vcluster.apply(LATER)

    def test_after_three(vcluster):
        vcluster.apply(LATER)
"""


@pytest.fixture
def run():
    started = []

    def start(*arguments, suite=SUITE):
        started.append(Run(*arguments, suite=suite))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_after_a_normal_end(run):
    one = run()
    one.wait_for_holders()
    one.go()
    assert "5 passed" in one.finish()
    one.assert_nothing_left()


def test_after_a_failure_with_exitfirst(run):
    one = run("-x", suite="def test_fails(vcluster):\n    assert not vcluster.get('Namespace')\n")
    assert "1 failed" in one.finish()
    one.assert_nothing_left()


@pytest.mark.parametrize("times", [1, 2])
def test_after_ctrl_c(run, times):
    one = run()
    one.wait_for_holders()
    for _ in range(times):
        os.killpg(one.process.pid, signal.SIGINT)
        time.sleep(0.1)
    one.finish()
    one.assert_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_after_the_controller_is_killed(run, number):
    one = run()
    one.wait_for_holders()
    one.process.send_signal(number)
    one.process.wait(timeout=10)
    one.assert_nothing_left()


def test_after_a_worker_is_killed_its_cluster_ends_and_later_tests_run(run):
    one = run()
    workers = one.wait_for_holders()
    os.kill(workers[0], signal.SIGKILL)
    one.go()
    text = one.finish()
    assert "crashed" in text
    assert "4 passed" in text
    one.assert_nothing_left()


@pytest.mark.parametrize("victim", sorted(NAMES))
def test_after_a_shared_process_is_killed_its_tests_fail_and_later_ones_run(run, victim):
    one = run()
    one.wait_for_holders()
    os.kill(one.pid_of(victim), signal.SIGKILL)
    (one.signs / "killed").touch()
    one.go()
    text = one.finish()
    assert "3 passed" in text, text
    assert "2 failed" in text or "2 errors" in text or "2 error" in text, text
    assert f"{NAMES[victim]} of this test's cluster died" in text, text
    one.assert_nothing_left()


def test_another_run_does_not_notice(run):
    one, other = run(), run()
    one.wait_for_holders()
    other.wait_for_holders()
    one.process.kill()
    one.process.wait(timeout=10)
    one.assert_nothing_left()
    other.go()
    assert "5 passed" in other.finish()
    other.assert_nothing_left()

"""Whatever ends a run, nothing of it remains: no process, no socket, no directory; and other runs don't notice.

Linux only, because it looks into /proc: every process of a run inherits TMPDIR, which is unique to each test here.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SUITE = """
    import os, pathlib, time
    import pytest

    SIGNS = pathlib.Path(os.environ["SIGNS"])

    @pytest.mark.parametrize("number", range(2))
    def test_hold(vcluster, number):
        (SIGNS / f"holding-{number}-{os.getpid()}").touch()
        deadline = time.monotonic() + 60
        while not (SIGNS / "go").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        vcluster.get("Namespace")

    @pytest.mark.parametrize("number", range(3))
    def test_after(vcluster, number):
        vcluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}})
"""


class Run:
    """A pytest run in a session of its own, whose processes are found by their TMPDIR."""

    def __init__(self, *arguments: str, suite: str = SUITE) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="v", dir="/tmp"))
        self.temporary = self.directory / "t"
        self.signs = self.directory / "signs"
        self.temporary.mkdir()
        self.signs.mkdir()
        (self.directory / "test_suite.py").write_text(textwrap.dedent(suite))
        (self.directory / "pytest.ini").write_text("[pytest]\n")
        environment = {**os.environ, "TMPDIR": str(self.temporary), "SIGNS": str(self.signs)}
        self.output = (self.directory / "output").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", *arguments],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def pids(self) -> dict[int, str]:
        """Process id -> command line, of every process of the run that is alive."""
        found = {}
        mine = f"TMPDIR={self.temporary}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if mine in (entry / "environ").read_bytes().split(b"\0"):
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def pid_of(self, part: str) -> int:
        """The one process whose command line holds `part`."""
        matching = [pid for pid, command in self.pids().items() if part in command]
        assert len(matching) == 1, (part, self.pids())
        return matching[0]

    def wait_for_holders(self) -> list[int]:
        """Wait until both tests hold their cluster, and return their workers' process ids."""
        deadline = time.monotonic() + 90
        while len(holding := list(self.signs.glob("holding-*"))) < 2:
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.02)
        return [int(path.name.split("-")[2]) for path in holding]

    def wait_for_host(self) -> None:
        """Wait until the run's host and syncer are there."""
        deadline = time.monotonic() + 60
        while not any("vcluster_syncer" in command for command in self.pids().values()):
            assert time.monotonic() < deadline, self.pids()
            time.sleep(0.02)

    def go(self) -> None:
        """Let the holding tests go on."""
        (self.signs / "go").touch()

    def finish(self) -> str:
        """Wait for pytest's end and return its output."""
        self.process.wait(timeout=120)
        return self.text()

    def text(self) -> str:
        """The output so far."""
        return (self.directory / "output").read_text(errors="replace")

    def assert_nothing_left(self, *, within: float = 2.0) -> None:
        """Within `within` seconds from now, no process and no file of the run is left."""
        deadline = time.monotonic() + within
        while True:
            pids, files = self.pids(), [str(path) for path in self.temporary.rglob("*") if "pytest-of" not in str(path)]
            if not pids and not files:
                return
            assert time.monotonic() < deadline, f"left: {pids} {files[:10]}\n{self.text()}"
            time.sleep(0.02)

    def close(self) -> None:
        """Kill what a failed test left, and remove the directory."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=10)
        self.output.close()
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture
def run():
    started = []

    def start(*arguments, **kwargs):
        started.append(Run(*arguments, **kwargs))
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


@pytest.mark.parametrize("victim", ["pytest_vcluster.service ", "vcluster_syncer", "etcd "])
def test_after_a_shared_process_is_killed_its_tests_fail_and_later_ones_run(run, victim):
    one = run()
    one.wait_for_holders()
    one.wait_for_host()
    victims = [pid for pid, command in one.pids().items() if victim in command and "kube-apiserver" not in command]
    assert len(victims) == 1, one.pids()
    os.kill(victims[0], signal.SIGKILL)
    time.sleep(0.3)
    one.go()
    text = one.finish()
    assert "3 passed" in text, text
    assert "2 failed" in text or "2 errors" in text or "2 error" in text, text
    name = {"pytest_vcluster.service ": "run service", "vcluster_syncer": "syncer", "etcd ": "etcd"}[victim]
    assert name in text
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

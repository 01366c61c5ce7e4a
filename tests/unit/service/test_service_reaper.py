import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from service_fakes import until

from pytest_vcluster.service import reaper
from pytest_vcluster.service.lock import RunLock, is_held
from pytest_vcluster.service.runs import lock_of


@pytest.fixture
def child():
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as popen:
        yield popen
        popen.kill()


def test_a_process_is_known_by_its_start():
    assert reaper.started(os.getpid()) == reaper.started(os.getpid()) != ""


def test_a_zombie_is_no_process_any_more(child):
    assert reaper.started(child.pid)
    child.kill()
    until(lambda: not reaper.started(child.pid))


def test_only_the_same_process_is_killed(child):
    reaper.kill({child.pid: "1"})
    assert child.poll() is None
    reaper.kill({child.pid: reaper.started(child.pid)})
    assert child.wait(timeout=2) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_dead_leader_left_in_its_session_is_killed():
    with subprocess.Popen(
        ["sh", "-c", "sleep 999 & echo $!; exec sleep 999"], start_new_session=True, stdout=subprocess.PIPE
    ) as leader:
        orphan = int(leader.stdout.readline())
        mark = reaper.started(leader.pid)
        leader.kill()
        leader.wait()
        assert reaper.started(orphan)
        reaper.kill({leader.pid: mark})
        assert not reaper.started(orphan)


def test_only_complete_lines_are_believed():
    assert reaper.parse("12\t345\n13\tMon Jan 1\nx\ty\n14\t\n15\t9") == {12: "345", 13: "Mon Jan 1"}


def test_when_the_pipe_breaks_processes_directory_and_lock_go_and_then_the_reaper(tmp_path, child):
    directory = tmp_path / "base" / "run"
    lock = RunLock.take(lock_of(directory))
    directory.mkdir()
    (directory / "file").write_text("x")
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-I", "-S", reaper.__file__, str(directory), str(lock.path)],
        stdin=read,
        pass_fds=(lock.descriptor,),
    ) as popen:
        os.close(read)
        lock.close()
        os.write(write, f"{child.pid}\t{reaper.started(child.pid)}\n".encode())
        popen.send_signal(signal.SIGTERM) if started_up(popen) else None
        assert is_held(lock.path)
        assert directory.exists()
        os.close(write)
        assert popen.wait(timeout=2) == 0
    assert child.wait(timeout=1) == -signal.SIGKILL
    assert not directory.parent.exists()


def started_up(popen):
    """Wait until the reaper ignores SIGTERM (bit 14 of its mask)."""
    if sys.platform != "linux":
        return False
    status = Path(f"/proc/{popen.pid}/status")
    until(lambda: int(status.read_text().partition("SigIgn:\t")[2].split()[0], 16) & 1 << 14)
    return True


def test_what_a_reaper_was_not_told_any_more_it_reads(tmp_path, child):
    directory = tmp_path / "base" / "run"
    directory.mkdir(parents=True)
    half_a_line = f"{os.getpid()}\t{reaper.started(os.getpid())}"
    (directory / reaper.LIST).write_text(f"{child.pid}\t{reaper.started(child.pid)}\n{half_a_line}")
    command = [sys.executable, "-I", "-S", reaper.__file__, str(directory), str(lock_of(directory))]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True, timeout=60)
    assert child.wait(timeout=1) == -signal.SIGKILL
    assert not directory.parent.exists()


def test_it_needs_nothing_but_the_standard_library(tmp_path):
    done = subprocess.run(
        [sys.executable, "-I", "-S", reaper.__file__, str(tmp_path / "x"), str(tmp_path / "x.lock")],
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_directories_of_simulated_volumes_go_and_those_that_somebody_uses_stay(tmp_path):
    volumes = tmp_path / "volumes"
    for name in ("empty", "used"):
        (volumes / name).mkdir(parents=True)
    (volumes / "used" / "data").touch()
    reaper.remove_empty(volumes)
    assert [each.name for each in volumes.iterdir()] == ["used"]
    (volumes / "used" / "data").unlink()
    for _ in range(2):  # the second time there is nothing
        reaper.remove_empty(volumes)
        assert not volumes.exists()

import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from pytest_vcluster.service import reaper, runs
from pytest_vcluster.service.protocol import base_directory
from pytest_vcluster.service.reaper import started_at


@pytest.fixture
def base(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="v", dir="/tmp") as made, monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", made)
        yield base_directory()


def folder_of(base, run, number, *, age=100.0):
    folder = base / run / str(number)
    folder.mkdir(parents=True)
    then = time.time() - age
    os.utime(folder, (then, then))
    return folder


def test_a_live_service_is_never_swept(base):
    folder = folder_of(base, "a", 0)
    alive = runs.stay_alive(folder)
    os.utime(folder, (1, 1))
    assert runs.is_alive(folder)
    assert runs.sweep() == []
    assert list(runs.sockets()) == [folder / "service.sock"]
    os.close(alive)


def test_a_dead_service_is_swept_with_its_processes(base):
    folder = folder_of(base, "a", 0)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    (folder / runs.PROCESSES).write_text(f"{child.pid} {started_at(child.pid)}\n")
    os.utime(folder, (1, 1))
    assert runs.sweep() == [folder]
    assert child.wait(timeout=5) == -9
    assert not base.exists()


def test_a_process_id_that_was_used_again_is_left_alone(base):
    folder = folder_of(base, "a", 0)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    (folder / runs.PROCESSES).write_text(f"{child.pid} 12345\nnonsense\n")
    os.utime(folder, (1, 1))
    runs.sweep()
    assert child.poll() is None
    child.kill()
    child.wait()


def test_a_service_that_is_just_starting_is_left_alone(base):
    folder = folder_of(base, "a", 0, age=0)
    assert runs.sweep() == []
    assert folder.exists()


def test_the_newest_service_of_a_run_comes_first(base):
    for number in (0, 10, 9):
        folder_of(base, "a", number)
    assert [folder.name for folder in runs.incarnations(base / "a")] == ["10", "9", "0"]


def test_only_one_may_start_a_service_at_a_time_even_if_the_base_vanishes(base):
    inside, overlaps, made = [], [], []

    def compete(number):
        for _ in range(50):
            with runs.election(base / f"run{number}"):
                inside.append(number)
                overlaps.extend(inside[1:])
                made.append((base / f"run{number}").is_dir())
                inside.remove(number)
            reaper.remove(base / f"run{number}" / "0")

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not overlaps
    assert len(made) == 200
    assert all(made)


def test_a_process_has_one_start_and_the_dead_have_none():
    assert started_at(os.getpid()) == started_at(os.getpid()) != ""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert started_at(child.pid) == ""


def test_the_runs_folder_is_short_enough_for_sockets(base):
    assert len(str(Path("/tmp") / base.name / "1234567-abcdef" / "0" / "etcd-peer.sock")) < 100

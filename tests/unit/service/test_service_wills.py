"""Whatever ends whatever, what does not die with processes is gone too, or remembered until it can be removed."""

import os
import signal
import sys

import pytest
from service_fakes import SETTINGS, request, until, will_about

from pytest_vcluster.service import client, runs
from pytest_vcluster.service.lock import RunLock
from pytest_vcluster.service.roster import Roster, written
from pytest_vcluster.service.runs import lock_of, processes_in

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
NOTHING = ({}, [])


@pytest.fixture
def things(machine):
    """Where the fake backplane makes a thing."""
    folder = machine.folder / "outside"
    folder.mkdir()
    machine.wish("things", folder)
    return folder


def reapers(machine):
    return list(machine.pids("reaper.py"))


def left(things):
    return [each.name for each in things.iterdir()]


@pytest.fixture
def lease(run, things, open_lease):
    made = open_lease()
    assert left(things) == ["thing"]
    return made


@pytest.mark.usefixtures("lease")
def test_a_normal_end_removes_it_before_it_is_over(machine, run, things):
    client.shut_down(run, timeout=60)
    assert left(things) == []
    assert machine.left() == NOTHING
    assert not machine.base.exists()


@pytest.mark.usefixtures("lease")
def test_killing_the_service_removes_it(machine, things):
    (service,) = machine.service()
    os.kill(service, signal.SIGKILL)
    until(lambda: machine.left() == NOTHING)
    assert left(things) == []


@pytest.mark.usefixtures("lease")
def test_a_new_reaper_knows_of_it(machine, things):
    (reaper,) = reapers(machine)
    os.kill(reaper, signal.SIGKILL)
    until(lambda: reapers(machine) not in ([], [reaper]))
    (service,) = machine.service()
    os.kill(service, signal.SIGKILL)
    until(lambda: machine.left() == NOTHING)
    assert left(things) == []


@pytest.mark.usefixtures("lease")
def test_if_both_are_killed_the_next_sweep_removes_it(machine, things):
    kill_both(machine)
    assert left(things) == ["thing"]
    runs.sweep(machine.base)
    assert left(things) == []
    assert machine.left() == NOTHING


def kill_both(machine):
    pids = [*reapers(machine), *machine.service()]
    for pid in pids:  # stopped first: none must notice that the other is gone
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not machine.service() and not reapers(machine))
    # A process that ends has no name any more a moment before it lets go of its files.
    until(lambda: not any(runs.is_alive(each) for each in runs.directories(machine.base)))


@pytest.mark.usefixtures("lease")
def test_nothing_of_a_live_run_is_removed(machine, run, things):
    here = {run.directory: written(will_about(things))}
    assert runs.sweep(machine.base, found=here) == []
    assert left(things) == ["thing"]


@pytest.mark.usefixtures("lease")
def test_what_cannot_be_removed_is_remembered_without_the_runs_secrets_and_swept_later(machine, run, things):
    (service,) = machine.service()
    hidden = things.rename(things.with_name("hidden"))  # as if Docker had stopped
    os.kill(service, signal.SIGKILL)
    until(lambda: not reapers(machine))
    until(lambda: not runs.is_alive(run.directory))  # as above
    assert [each.name for each in run.directory.iterdir()] == ["processes"]
    assert runs.sweep(machine.base) == []  # still not
    hidden.rename(things)
    assert runs.sweep(machine.base) == [run.directory]
    assert left(things) == []
    assert machine.left() == NOTHING


@pytest.mark.usefixtures("lease")
def test_a_service_that_takes_over_keeps_what_could_not_be_removed_in_mind(machine, run, things):
    (service,) = machine.service()
    hidden = things.rename(things.with_name("hidden"))
    os.kill(service, signal.SIGKILL)
    until(lambda: not reapers(machine))
    machine.wish("things", "")
    lease = client.open_lease(run, SETTINGS, request(), timeout=60, on_progress=lambda _: None)
    hidden.rename(things)
    lease.release()
    client.shut_down(run, timeout=60)
    runs.sweep(machine.base)
    assert left(things) == []
    assert machine.left() == NOTHING


def test_a_thing_whose_run_left_no_directory_is_removed_by_who_finds_it(machine, things):
    (things / "thing").touch()
    dead = machine.base / "deadbeef"
    assert runs.sweep(machine.base, found={dead: written(will_about(things))}) == [dead]
    assert left(things) == []
    assert machine.left() == NOTHING


def test_what_cannot_be_written_down_must_not_be_made(tmp_path):
    lock = RunLock.take(lock_of(tmp_path / "run"))
    roster = Roster(tmp_path / "run", lock, lost=lambda: None)
    with pytest.raises(FileNotFoundError):
        roster.will(will_about(tmp_path))
    lock.close()


def test_a_will_is_written_once(tmp_path):
    directory = tmp_path / "run"
    directory.mkdir()
    lock = RunLock.take(lock_of(directory))
    roster = Roster(directory, lock, lost=lambda: None)
    read, roster._pipe = os.pipe()
    for _ in range(2):
        roster.will(will_about(tmp_path))
    assert processes_in(directory).read_text() == written(will_about(tmp_path)) == os.read(read, 65536).decode()
    for descriptor in (read, roster._pipe):
        os.close(descriptor)
    lock.close()

"""Whatever ends whatever, within two seconds nothing of the run is left, and no other run notices."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from service_fakes import SETTINGS, request, talk, until, worker_command

from pytest_vcluster.errors import ProvisionError
from pytest_vcluster.service import client, election
from pytest_vcluster.service.reaper import started
from pytest_vcluster.service.runs import Run, lock_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
NOTHING = ({}, [])


@pytest.fixture
def controller():
    """A process that does nothing, to be a run's controller."""
    with subprocess.Popen(["sleep", "1000"], env={}) as popen:
        yield popen
        popen.kill()


def grant_of(worker):
    line = worker.stdout.readline()
    assert line, "the worker got no cluster"
    return json.loads(line)


def test_a_normal_end_leaves_nothing_and_tells_what_was(machine, run, open_lease):
    open_lease().release()
    totals = client.shut_down(run, timeout=60)
    assert machine.left() == NOTHING
    assert not machine.base.exists()
    assert (totals["leases"], totals["fresh"], totals["retired"], totals["deaths"]) == (1, 1, 1, 0)
    assert totals["host"] == "embedded"
    assert client.shut_down(run, timeout=60) is None


@pytest.mark.parametrize("end", ["orderly", "killed"])
def test_what_was_begun_ahead_ends_with_the_service(machine, run, end):
    run = replace(run, ahead="service_fakes:begin")
    lease = client.open_lease(run, SETTINGS, request(), timeout=60, on_progress=lambda _: None)
    assert len(machine.pids("sleep 998")) == 1
    if end == "orderly":
        client.shut_down(run, timeout=60)
        assert machine.left() == NOTHING
    else:
        (pid,) = machine.service()
        os.kill(pid, signal.SIGKILL)
        until(lambda: machine.left() == NOTHING, seconds=2)
    lease.release()


def test_an_end_in_the_middle_of_a_lease_leaves_nothing(machine, run, open_lease):
    lease = open_lease()
    client.shut_down(run, timeout=60)
    assert machine.left() == NOTHING
    assert [death.component for death in lease.deaths()] == ["run service"]


def test_an_end_while_a_cluster_is_being_prepared_leaves_nothing(machine, run, start_worker):
    machine.wish("slowness", 60)
    worker = start_worker(run)
    until(machine.events)
    client.shut_down(run, timeout=60)
    assert worker.wait(timeout=60) == 1
    assert machine.left() == NOTHING


def test_a_worker_that_is_killed_gives_its_cluster_back(machine, run, start_worker):
    worker = start_worker(run)
    gate = grant_of(worker)["gate"]
    assert talk(gate) == b"hello"
    worker.kill()
    until(lambda: len(machine.pids("sleep")) == 1)
    with pytest.raises(ConnectionRefusedError):
        talk(gate)


def test_a_worker_that_is_killed_gives_its_cluster_back_even_if_its_child_lives_on(machine, run, start_worker):
    command = worker_command(run)
    command[2] = "import subprocess, time\n" + command[2].replace(
        "lease.release(",
        "subprocess.Popen(['sleep', '999'], stdout=-3, pass_fds=[lease._channel._socket.fileno()]); time.sleep(",
    )
    worker = start_worker(run, command=command)
    grant_of(worker)
    until(lambda: machine.pids("sleep 999"))
    worker.kill()
    until(lambda: len(machine.pids("sleep 1000")) == 1)
    assert machine.pids("sleep 999")


def test_killing_the_controller_ends_everything_workers_included(machine, controller, start_worker):
    run = machine.run(controller.pid)
    workers = [start_worker(run, expected=4) for _ in range(2)]
    for worker in workers:
        grant_of(worker)
    controller.kill()
    controller.wait()
    killed = time.monotonic()
    until(lambda: machine.left() == NOTHING, seconds=2)
    assert time.monotonic() - killed < 2
    assert {worker.wait(timeout=1) for worker in workers} == {-signal.SIGTERM}


def test_a_worker_that_ignores_sigterm_is_killed_with_its_run(machine, controller, start_worker):
    run = machine.run(controller.pid)
    command = worker_command(run)
    command[2] = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + command[2]
    worker = start_worker(run, command=command)
    grant_of(worker)
    controller.kill()
    controller.wait()
    assert worker.wait(timeout=2) == -signal.SIGKILL
    until(lambda: machine.left() == NOTHING, seconds=2)


def test_killing_the_service_leaves_nothing_and_the_next_request_starts_another(machine, run, open_lease):
    lease = open_lease()
    (pid,) = machine.service()
    os.kill(pid, signal.SIGKILL)
    until(lambda: machine.left() == NOTHING, seconds=2)
    assert [death.component for death in lease.deaths()] == ["run service"]
    lease.release()
    assert talk(open_lease().grant.gate) == b"hello"


def test_requests_right_after_the_service_was_killed_are_served(machine, run, open_lease):
    open_lease()
    (pid,) = machine.service()
    os.kill(pid, signal.SIGKILL)
    assert talk(open_lease().grant.gate) == b"hello"


def test_killing_the_reaper_starts_another(machine, run, open_lease):
    open_lease()
    (first,) = machine.pids("reaper.py")
    os.kill(first, signal.SIGKILL)
    until(lambda: [pid for pid in machine.pids("reaper.py") if pid != first])
    (service,) = machine.service()
    os.kill(service, signal.SIGKILL)
    until(lambda: machine.left() == NOTHING, seconds=2)


def test_sigterm_to_the_service_is_an_orderly_end_that_spares_the_workers(machine, run, start_worker):
    worker = start_worker(run)
    grant_of(worker)
    (pid,) = machine.service()
    os.kill(pid, signal.SIGTERM)
    until(lambda: not [command for command in machine.pids().values() if "-c" not in command], seconds=2)
    assert worker.poll() is None
    until(lambda: not machine.base.exists(), seconds=2)


def test_two_runs_do_not_touch_each_other(machine, run, open_lease):
    other = machine.run()
    leases = {each.id: open_lease(request(expected=3), run=each) for each in (run, other)}
    assert len(machine.service()) == 2
    client.shut_down(other, timeout=60)
    assert not other.directory.exists()
    assert talk(leases[run.id].grant.gate) == b"hello"
    assert leases[run.id].deaths() == []
    assert client.running(run)


def test_eight_workers_that_ask_at_once_share_one_service(machine, run, start_worker):
    workers = [start_worker(run, expected=8) for _ in range(8)]
    holders = {}
    until(lambda: len(machine.pids("sleep 1000")) >= 5)  # the pool of four, and etcd
    assert len(machine.service()) == 1
    while len(holders) < len(workers):
        for worker in until(
            lambda: [w for w in workers if w not in holders and select.select([w.stdout], [], [], 0)[0]]
        ):
            holders[worker] = grant_of(worker)["cluster"]
            worker.stdin.write("\n")
            worker.stdin.flush()
    assert len(set(holders.values())) == 8
    assert (len(machine.service()), len(machine.pids("reaper.py"))) == (1, 1)


def test_kept_clusters_stay_until_the_run_ends(machine, run, open_lease):
    lease = open_lease()
    lease.release(keep=True)
    assert talk(lease.grant.gate) == b"hello"
    assert lease.kept.command == f"pytest-vcluster down {lease.grant.cluster}"
    kubeconfig = Path(lease.kept.kubeconfig)
    assert lease.grant.gate in kubeconfig.read_text()
    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    client.shut_down(run, timeout=60)
    assert machine.left() == NOTHING


def test_kept_clusters_do_not_take_a_seat_of_the_pool(open_lease):
    settings = replace(SETTINGS, pool=1)
    kept = [open_lease(request(expected=3), settings=settings) for _ in range(1)]
    kept[0].release(keep=True)
    assert talk(open_lease(request(expected=3), settings=settings).grant.gate) == b"hello"
    assert talk(kept[0].grant.gate) == b"hello"


def keep_one(run, start_worker):
    """What a worker was granted that keeps its cluster and ends."""
    worker = start_worker(run, expected=5)
    grant = grant_of(worker)
    worker.stdin.write("keep\n")
    worker.stdin.flush()
    assert worker.wait(timeout=60) == 0
    return grant


def test_with_keep_the_service_outlives_the_controller_until_the_last_cluster_is_ended(
    machine, controller, start_worker
):
    run = machine.run(controller.pid)
    grants = [keep_one(run, start_worker) for _ in range(2)]
    assert {kept.cluster for kept in client.keep(run)} == {grant["cluster"] for grant in grants}
    controller.kill()
    controller.wait()
    until(lambda: len(machine.pids("sleep 1000")) == 3)  # no spares any more: two clusters, etcd
    assert talk(grants[0]["gate"]) == b"hello"
    (status,) = client.list_runs(machine.base)
    assert (status.alive, status.lives_on, len(status.kept)) == (True, True, 2)
    client.end_kept(status.directory, cluster=grants[0]["cluster"])
    assert talk(grants[1]["gate"]) == b"hello"
    client.end_kept(status.directory)
    assert machine.left() == NOTHING


def test_kept_clusters_do_not_outlive_a_controller_that_was_killed(machine, controller, start_worker):
    run = machine.run(controller.pid)
    assert talk(keep_one(run, start_worker)["gate"]) == b"hello"
    controller.kill()
    controller.wait()
    until(lambda: not machine.service() and not machine.base.exists(), seconds=2)


def test_living_on_without_kept_clusters_is_pointless(machine, run, open_lease):
    open_lease().release()
    assert client.keep(run) == ()
    until(lambda: machine.left() == NOTHING, seconds=2)


def test_sweep_removes_what_dead_runs_left_and_never_touches_a_live_one(machine, run, open_lease):
    machine.base.mkdir()
    (machine.base / "earlier").mkdir()
    lease = open_lease()
    # A service sweeps as it begins; what comes now is ours.
    until(lambda: not (machine.base / "earlier").exists())
    dead = machine.base / "dead"
    dead.mkdir()
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as leftover:
        (dead / "processes").write_text(f"{leftover.pid}\t{started(leftover.pid)}\n{os.getpid()}\t12345\n")
        assert client.sweep(machine.base) == [dead]
        assert leftover.wait(timeout=2) == -signal.SIGKILL
    assert not dead.exists()
    assert not lock_of(dead).exists()
    assert talk(lease.grant.gate) == b"hello"
    assert lease.deaths() == []
    assert [(status.id, status.alive) for status in client.list_runs(machine.base)] == [(run.id, True)]


def test_a_new_run_sweeps_by_itself(machine, open_lease):
    machine.base.mkdir()
    (machine.base / "dead").mkdir()
    open_lease()
    until(lambda: not (machine.base / "dead").exists())


def test_a_service_that_was_begun_is_the_one_that_serves(machine, run, open_lease):
    for _ in range(3):
        election.begin(run, SETTINGS)
    assert talk(open_lease().grant.gate) == b"hello"
    assert len(machine.service()) == 1


def test_a_service_that_was_only_begun_ends_with_its_run(machine, run):
    election.begin(run, SETTINGS)
    client.shut_down(run, timeout=60)
    assert machine.left() == NOTHING


def test_beginning_leaves_it_to_the_request_to_tell_what_is_wrong(machine, controller, tmp_path):
    run = machine.run(controller.pid)
    controller.kill()
    controller.wait()
    election.begin(run, SETTINGS)
    assert machine.left() == NOTHING
    (tmp_path / "file").write_text("")
    election.begin(replace(machine.run(), directory=tmp_path / "file" / "base" / "x"), SETTINGS)
    assert machine.left() == NOTHING


def test_nothing_is_started_for_a_question(machine, run):
    assert client.summary(run) is None
    assert client.running(run) is False
    assert client.keep(run) == ()
    assert client.list_runs(machine.base) == []
    assert machine.left() == NOTHING


def test_an_unusable_temporary_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    run = Run(
        id="x",
        controller_pid=os.getpid(),
        controller_started=started(os.getpid()),
        directory=tmp_path / "file" / "base" / "x",
    )
    with pytest.raises(ProvisionError, match="TMPDIR"):
        client.open_lease(run, SETTINGS, request(), timeout=5, on_progress=lambda _: None)

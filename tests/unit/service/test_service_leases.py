import contextlib
import os
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from service_fakes import SETTINGS, VERSION, request, talk, until

from pytest_vcluster.errors import LeaseLost, ProvisionError, Timeout, ToolchainError
from pytest_vcluster.service import client
from pytest_vcluster.settings import NodeShape

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def test_a_lease_has_a_cluster_that_answers_through_its_gate(open_lease):
    lease = open_lease()
    assert lease.grant.version == VERSION
    assert lease.grant.kubeconfig == f"server: https://{lease.grant.gate}\n"
    assert lease.grant.revision == 7
    assert lease.grant.logs["kube-apiserver"].offset == 0
    assert talk(lease.grant.gate) == b"hello"
    assert lease.deaths() == []


def test_releasing_closes_the_gate_cuts_connections_and_removes_the_cluster(machine, open_lease):
    lease = open_lease()
    ip, _, port = lease.grant.gate.partition(":")
    with socket.create_connection((ip, int(port)), timeout=60) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        lease.release()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        talk(lease.grant.gate)
    lease.release()
    until(lambda: len(machine.pids("sleep")) == 1)  # etcd


def test_no_cluster_is_given_twice(open_lease):
    first = open_lease(request(expected=2))
    first.release()
    second = open_lease(request(expected=2))
    assert first.grant.cluster != second.grant.cluster


def test_what_befell_all_that_were_waiting_befalls_no_test(machine, open_lease):
    open_lease(request(expected=9))
    until(lambda: machine.events().count(f"prepare {VERSION}") >= 3)
    for number in range(2, 5):
        machine.wish(f"spoilt-1-{number}", "it was written to")
    assert open_lease(request(expected=9)).grant.cluster.endswith("-5")


def test_a_cluster_is_prepared_ahead_for_the_next_lease_but_none_in_vain(machine, run, open_lease):
    open_lease(request(expected=2))
    until(lambda: machine.events().count(f"prepare {VERSION}") == 2)
    until(lambda: len(machine.pids("sleep")) == 3)
    second = open_lease(request(expected=2))
    second.release()
    assert client.summary(run)["fresh"] == 2
    assert machine.events().count(f"prepare {VERSION}") == 2


def test_the_first_cluster_comes_before_the_host_and_the_host_before_spares(machine, open_lease):
    open_lease(request(expected=3))
    until(lambda: machine.events().count(f"prepare {VERSION}") == 3)
    events = machine.events()
    assert events[0] == f"prepare {VERSION}"
    assert "host" in events[1:3]


def test_the_host_can_be_asked_for_without_a_cluster(machine, run):
    facts = client.host_info(run, SETTINGS, timeout=60, on_progress=lambda _: None)
    assert facts["nodes"] == ["node-1"]
    assert client.host_info(run, SETTINGS, timeout=60, on_progress=lambda _: None) == facts
    assert machine.events() == ["host"]


def test_other_nodes_make_another_cluster(machine, open_lease):
    open_lease(request(expected=1))
    lease = open_lease(request(expected=1, nodes=(NodeShape(name="big", capacity={"cpu": "64"}),)))
    assert machine.events().count(f"prepare {VERSION}") == 2
    assert lease.deaths() == []


def test_a_death_reaches_the_lease_and_later_leases_are_healthy(machine, run, open_lease):
    lease, neighbour = open_lease(request(expected=2)), open_lease(request(expected=2))
    pid = kill_one(machine, lease.grant.cluster)
    death = until(lease.deaths)[0]
    assert (death.component, death.status) == (f"{lease.grant.cluster}/kube-apiserver", "killed by signal 9")
    assert death.tail == "last words"
    assert neighbour.deaths() == []
    lease.release()
    assert talk(open_lease().grant.gate) == b"hello"
    assert pid not in machine.pids()
    assert client.summary(run)["deaths"] == 1


def test_a_shared_death_reaches_all_leases_and_the_next_one_gets_a_new_world(machine, open_lease):
    leases = [open_lease(request(expected=2)) for _ in range(2)]
    kill_one(machine, "etcd")
    for lease in leases:
        until(lambda lease=lease: any(death.component == "etcd" for death in lease.deaths()))
        lease.release()
    assert talk(open_lease(request(expected=3)).grant.gate) == b"hello"


def test_a_spare_that_dies_is_replaced_quietly(machine, open_lease):
    open_lease(request(expected=2))
    until(lambda: len(machine.pids("sleep")) == 3)
    kill_one(machine, "-1-2_kube-apiserver")
    until(lambda: machine.events().count(f"prepare {VERSION}") == 3)
    second = open_lease(request(expected=2))
    assert talk(second.grant.gate) == b"hello"
    assert second.deaths() == []


def test_a_failure_to_provision_is_told_once_and_not_tried_forever(machine, run, open_lease):
    machine.wish("broken", "kube-apiserver ended with 1 while starting.")
    with pytest.raises(ProvisionError, match="ended with 1"):
        open_lease(request(expected=9))
    assert client.running(run)
    assert machine.events().count(f"prepare {VERSION}") == 1
    machine.wish("broken", "")
    assert talk(open_lease(request(expected=9)).grant.gate) == b"hello"


def test_missing_binaries_are_told_with_their_own_error_and_progress(machine, open_lease):
    machine.wish("no-binaries", "etcd is missing")
    told = []
    with pytest.raises(ToolchainError, match="etcd is missing"):
        open_lease(on_progress=told.append)
    assert "building kube-apiserver" in told
    with pytest.raises(ToolchainError, match="etcd is missing"):
        open_lease()


def test_a_full_disk_is_told_with_what_to_do(machine, open_lease):
    machine.wish("full", "yes")
    with pytest.raises(ProvisionError, match="No space left on device") as raised:
        open_lease()
    assert "TMPDIR" in str(raised.value)
    machine.wish("full", "")
    assert talk(open_lease().grant.gate) == b"hello"


def test_a_directory_that_cannot_be_made_is_told_and_the_next_request_is_served(machine, run, open_lease):
    lease = open_lease(request(expected=1))
    (run.directory / "2").touch()  # in the way of the second backplane
    kill_one(machine, "etcd")
    until(lease.deaths)
    with pytest.raises(ProvisionError, match="File exists"):
        open_lease(request(expected=1))
    assert talk(open_lease(request(expected=1)).grant.gate) == b"hello"


def test_a_host_that_fails_is_told_to_those_who_wait(machine, run):
    machine.wish("no-host", "no host today")
    with pytest.raises(ProvisionError, match="no host today"):
        client.host_info(run, SETTINGS, timeout=60, on_progress=lambda _: None)
    machine.wish("no-host", "")
    assert client.host_info(run, SETTINGS, timeout=60, on_progress=lambda _: None)["kind"] == "fake"


def test_waiting_too_long_says_what_for(machine, open_lease):
    machine.wish("slowness", 60)
    with pytest.raises(Timeout) as raised:
        open_lease(request(holder="test_slow"), timeout=-2.0)  # the service's own, which is 5 s shorter than ours
    assert "A cluster for test_slow" in str(raised.value)
    assert f"starting a Kubernetes {VERSION} cluster" in str(raised.value)


def test_a_worker_that_holds_a_cluster_and_asks_for_another_gets_one_beyond_the_limit(run, open_lease):
    settings = replace(SETTINGS, pool=1)
    leases = [open_lease(request(expected=2), settings=settings) for _ in range(2)]
    assert leases[0].grant.cluster != leases[1].grant.cluster
    assert "pool exceeded" in client.summary(run)["notes"][0]


def test_a_run_that_is_over_starts_nothing(machine):
    run = replace(machine.run(), controller_started="1")
    with pytest.raises(LeaseLost, match="is over"):
        client.open_lease(run, SETTINGS, request(), timeout=5, on_progress=lambda _: None)
    assert machine.left() == ({}, [])


def test_a_service_that_cannot_start_says_why(machine):
    run = replace(machine.run(), backplane="no_such_module:opened")
    with pytest.raises(ProvisionError, match="No module named 'no_such_module'"):
        client.open_lease(run, SETTINGS, request(), timeout=5, on_progress=lambda _: None)
    assert machine.left() == ({}, [])


def kill_one(machine, part):
    """Kill the process whose log is named like `part`, and return its id."""

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for pid in machine.pids("sleep"):
            with contextlib.suppress(FileNotFoundError):
                if part in Path(f"/proc/{pid}/fd/1").readlink().name:
                    os.kill(pid, 9)
                    return pid
    raise AssertionError(part)

"""Who is frozen where processes are known by their commands."""

import os
import subprocess

import pytest
from vcluster_syncer.recycle import processes
from vcluster_syncer.recycle.freeze import NotFrozen
from vcluster_syncer.recycle.processes import Commands, Process, listing, look, one, some

MANAGER, SERVER = Process(12, "kube-controller-manager", 5), Process(9, "kube-apiserver", 4)
THERE = (Process(1, "pause", 1), SERVER, MANAGER)


def test_a_process_is_found_by_what_it_was_started_as():
    assert one("kube-controller-manager", THERE) == MANAGER


def test_nobody_and_what_to_do_about_it():
    with pytest.raises(NotFrozen, match="no process was started as kube-controller-manager; seen: kube-apiserver, pau"):
        one("kube-controller-manager", THERE[:2])
    with pytest.raises(NotFrozen, match="seen: none. If it runs, .*shareProcessNamespace: true"):
        some("etcd", ())


def test_not_one_but_two():
    again = Process(13, "kube-controller-manager", 6)
    with pytest.raises(NotFrozen, match=r"2 processes were started as kube-controller-manager \(12, 13\)"):
        one("kube-controller-manager", (*THERE, again))
    assert some("kube-controller-manager", (*THERE, again)) == (MANAGER, again)


def put(directory, pid, command):
    of = directory / str(pid)
    of.mkdir()
    (of / "cmdline").write_bytes(command)
    fields = " ".join(str(number) for number in range(4, 23))
    (of / "stat").write_text(f"{pid} (a) b) c) S {fields}")
    return of


def test_a_listing_knows_programs_without_their_paths_and_when_they_were_started(tmp_path):
    put(tmp_path, 12, b"/usr/local/bin/kube-controller-manager\0--v=0\0")
    put(tmp_path, 13, b"")
    (tmp_path / "self").mkdir()
    (tmp_path / "14").mkdir()
    assert listing(tmp_path) == (Process(12, "kube-controller-manager", 22),)
    assert look(13, tmp_path) is look(15, tmp_path) is None


def test_commands_become_ids(tmp_path):
    put(tmp_path, 12, b"kube-controller-manager\0")
    put(tmp_path, 9, b"kube-apiserver\0")
    by = Commands(
        freeze=("kube-controller-manager",), rest=("kube-apiserver", "kube-controller-manager"), directory=tmp_path
    )
    assert by.found() == ((12,), (9, 12))


@pytest.mark.skipif(not processes.PROC.exists(), reason="this system lists its processes otherwise")
def test_the_systems_own_listing():
    with subprocess.Popen(["a-name", "1000"], executable="/bin/sleep") as process:
        try:
            found = one("a-name", listing())
            assert found.pid == process.pid
            assert look(process.pid) == found
            assert look(os.getpid()).started <= found.started
        finally:
            process.kill()
    assert look(process.pid) is None

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pytest_vcluster.errors import ProvisionError
from pytest_vcluster.service import lock, runs
from pytest_vcluster.service.lock import RunLock, is_held
from pytest_vcluster.service.runs import Run


def test_a_run_survives_json_and_knows_its_controller():
    run = Run.of_controller()
    assert Run.from_json(run.to_json()) == run
    assert run.controller_pid == os.getpid()
    assert run.controller_is_alive()
    assert not Run.from_json({**run.to_json(), "controller_started": "1"}).controller_is_alive()
    assert not run.directory.exists()


def test_sockets_have_short_paths_wherever_the_temporary_directory_is(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/" + "long/" * 20)
    assert len(str(runs.base() / "12345678" / "1" / "etcd-peer.sock")) < 100
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/short")
    assert runs.base().parent == Path("/tmp/short")


def test_a_lock_is_held_once_and_by_whoever_inherits_it(tmp_path):
    path = tmp_path / "base" / "x.lock"
    assert not is_held(path)
    taken = RunLock.take(path)
    assert is_held(path)
    assert RunLock.take(path) is None
    with subprocess.Popen(["sleep", "1000"], pass_fds=[taken.descriptor]) as heir:
        taken.close()
        assert is_held(path)
        heir.kill()
        heir.wait()
    assert not is_held(path)


def test_a_lock_on_a_file_that_was_removed_is_none(tmp_path):
    path = tmp_path / "x.lock"
    old = RunLock.take(path)
    path.unlink()
    new = RunLock.take(path)
    assert new is not None
    assert not lock.is_at(old.descriptor, path)
    old.close()
    new.close()


def test_somebody_elses_directory_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "base").mkdir()
    monkeypatch.setattr(lock.os, "getuid", lambda: 4711)
    with pytest.raises(ProvisionError, match="not this user's directory"):
        RunLock.take(tmp_path / "base" / "x.lock")


def test_a_link_in_place_of_the_directory_is_not_used(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "base").symlink_to(tmp_path / "real")
    with pytest.raises(ProvisionError, match="not this user's directory"):
        RunLock.take(tmp_path / "base" / "x.lock")


def test_the_client_imports_nothing_heavy():
    script = "import sys, pytest_vcluster.service.client; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"asyncio", "ssl", "http", "yaml", "urllib3", "kubernetes", "cryptography", "subprocess", "filelock"}
    assert heavy.isdisjoint(modules)

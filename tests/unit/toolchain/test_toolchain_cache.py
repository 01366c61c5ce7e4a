from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pytest_vcluster.toolchain import Component, Sources, Wanted, cache, verify

WANTED = Wanted(Component.ETCD, "v3.6.16")


def put(folder: Path, content: bytes = b"#!/bin/sh\n") -> Path:
    with cache.staging(folder, "etcd-v3.6.16") as staging:
        made = staging / "etcd"
        made.write_bytes(content)
        made.chmod(0o755)
        return cache.install(folder, WANTED, made)


def test_what_was_installed_is_found_at_its_place(tmp_path: Path) -> None:
    assert cache.look(tmp_path, WANTED) is None
    path = put(tmp_path)
    assert path == tmp_path / "bin" / "v3.6.16" / "etcd"
    assert cache.look(tmp_path, WANTED) == path
    assert not list((tmp_path / "staging").iterdir())


def test_a_truncated_file_is_not_found_and_called_damaged(tmp_path: Path) -> None:
    path = put(tmp_path)
    path.write_bytes(b"#!")
    assert cache.look(tmp_path, WANTED) is None
    assert "damaged: 2 bytes instead of 10" in cache.why_not(tmp_path, WANTED)


def test_a_changed_byte_is_noticed_as_soon_as_the_time_differs(tmp_path: Path) -> None:
    path = put(tmp_path)
    path.write_bytes(b"#!/bin/sX\n")
    os.utime(path, ns=(1, 1))
    assert cache.look(tmp_path, WANTED) is None
    assert "SHA-256" in cache.why_not(tmp_path, WANTED)


def test_a_restored_file_with_another_time_is_read_once_and_then_known_again(tmp_path: Path) -> None:
    path = put(tmp_path)
    os.utime(path, ns=(5, 5))
    assert cache.look(tmp_path, WANTED) == path
    assert '"mtime_ns": 5' in (path.parent / ".etcd.json").read_text()


def test_a_lost_executable_bit_is_given_back(tmp_path: Path) -> None:
    path = put(tmp_path)
    path.chmod(0o644)
    assert cache.look(tmp_path, WANTED) == path
    assert os.access(path, os.X_OK)


def test_a_binary_without_its_record_does_not_count(tmp_path: Path) -> None:
    path = put(tmp_path)
    (path.parent / ".etcd.json").unlink()
    assert cache.look(tmp_path, WANTED) is None
    assert "interrupted" in cache.why_not(tmp_path, WANTED)


def test_a_record_that_is_not_readable_does_not_count(tmp_path: Path) -> None:
    path = put(tmp_path)
    (path.parent / ".etcd.json").write_text("[]")
    assert cache.look(tmp_path, WANTED) is None


def test_verify_reads_everything_and_finds_what_a_quick_look_can_not(
    tmp_path: Path, make_sources: Callable[..., Sources]
) -> None:
    path = put(tmp_path)
    stat = path.stat()
    path.write_bytes(b"#!/bin/sX\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cache.look(tmp_path, WANTED) == path
    (verdict,) = verify(make_sources(cache=tmp_path))
    assert verdict.path == path
    assert not verdict.intact
    assert "SHA-256" in verdict.reason
    put(tmp_path)
    (verdict,) = verify(make_sources(cache=tmp_path))
    assert verdict.intact


def test_the_next_holder_sweeps_what_an_interrupted_one_left(tmp_path: Path) -> None:
    left = tmp_path / "staging" / "etcd-v3.6.16" / "abc"
    left.mkdir(parents=True)
    (left / "half").write_bytes(b"half")
    with cache.staging(tmp_path, "etcd-v3.6.16") as staging:
        assert not left.exists()
        assert not list(staging.iterdir())
    assert not staging.exists()

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.toolchain import Binary, Component, Source, check_runs
from pytest_vcluster.toolchain.machine import Target, targets_of, this_machine


def elf(machine: int, *, big_endian: bool = False) -> bytes:
    order = ">" if big_endian else "<"
    ident = b"\x7fELF" + bytes([2, 2 if big_endian else 1, 1]) + bytes(9)
    return ident + struct.pack(f"{order}HH", 2, machine) + bytes(64)


MACHO_ARM = b"\xcf\xfa\xed\xfe" + struct.pack("<I", 0x0100000C) + bytes(64)
MACHO_FAT = (
    b"\xca\xfe\xba\xbe"
    + struct.pack(">I", 2)
    + b"".join(struct.pack(">IIIII", cpu, 0, 0, 0, 0) for cpu in (0x01000007, 0x0100000C))
)


def binary_of(tmp_path: Path, content: bytes, *, mode: int = 0o755, source: Source = Source.NAMED) -> Binary:
    path = tmp_path / "kube-apiserver"
    path.write_bytes(content)
    path.chmod(mode)
    return Binary(Component.KUBE_APISERVER, "v1.36.4", path, source)


@pytest.mark.parametrize(
    ("header", "targets"),
    [
        (elf(62), {"linux/amd64"}),
        (elf(183), {"linux/arm64"}),
        (elf(22, big_endian=True), {"linux/s390x"}),
        (elf(9999), {"linux/ELF machine 9999"}),
        (MACHO_ARM, {"darwin/arm64"}),
        (MACHO_FAT, {"darwin/amd64", "darwin/arm64"}),
        (b"MZ\x90\0", {"windows/any"}),
        (b"<html>", set()),
        (b"", set()),
    ],
)
def test_tells_what_a_file_is_for_by_its_first_bytes(header: bytes, targets: set[str]) -> None:
    found = targets_of(header)
    assert found is not None
    assert {str(target) for target in found} == targets


@given(st.binary(max_size=600))
def test_any_bytes_are_judged_without_an_error(header: bytes) -> None:
    targets_of(header)
    targets_of(b"\x7fELF" + header)
    targets_of(b"\xca\xfe\xba\xbe" + header)


def test_the_running_python_is_for_this_machine() -> None:
    with Path(sys.executable).resolve().open("rb") as file:
        targets = targets_of(file.read(512))
    assert targets is None or this_machine() in targets


def test_a_script_runs_anywhere(tmp_path: Path) -> None:
    check_runs(binary_of(tmp_path, b"#!/bin/sh\n"))


def test_a_binary_of_another_architecture_is_named_as_such_without_running_it(tmp_path: Path) -> None:
    here = this_machine()
    other = 183 if here.architecture == "amd64" else 62
    with pytest.raises(ToolchainError) as caught:
        check_runs(binary_of(tmp_path, elf(other)))
    text = str(caught.value)
    assert "is for linux/arm64" in text if other == 183 else "is for linux/amd64" in text
    assert f"this machine is {here}" in text
    assert "TEST_ASSET_KUBE_APISERVER" in text


def test_a_file_that_is_not_executable_is_named_with_the_remedy(tmp_path: Path) -> None:
    binary = binary_of(tmp_path, elf(62), mode=0o644)
    with pytest.raises(ToolchainError, match=r"not executable.*chmod \+x"):
        check_runs(binary)


def test_a_file_that_is_no_program_says_what_it_starts_with(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"no executable.*<!DOCTYP"):
        check_runs(binary_of(tmp_path, b"<!DOCTYPE html>", source=Source.CACHE))


def test_folders_and_missing_files_are_errors_that_name_the_path(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="is a folder"):
        check_runs(Binary(Component.ETCD, "v3", tmp_path, Source.NAMED))
    with pytest.raises(ToolchainError, match=r"etcd at .*gone can't be run: it can't be read"):
        check_runs(Binary(Component.ETCD, "v3", tmp_path / "gone", Source.NAMED))


def test_targets_read_as_go_writes_them() -> None:
    assert str(Target("linux", "amd64")) == "linux/amd64"

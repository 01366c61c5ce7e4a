"""Wheels into a folder, by whatever installer there is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from pytest_vcluster.toolchain import pypi
from pytest_vcluster.toolchain.failures import WayFailed
from pytest_vcluster.toolchain.pypi import Foreign


def program(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


@pytest.fixture
def only_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose Python has no pip, and a folder for its uv."""
    monkeypatch.setattr(
        pypi, "find_spec", lambda name: None if name in ("pip", "ensurepip") else importlib.util.find_spec(name)
    )
    monkeypatch.setattr(sys, "executable", str(program(tmp_path / "env" / "python", f'exec {sys.executable} "$@"')))
    return tmp_path / "bin"


def said(tmp_path: Path) -> str:
    return (tmp_path / "said").read_text()


def test_uv_is_told_the_machine_that_is_meant(only_uv: Path, tmp_path: Path) -> None:
    program(only_uv / "uv", f'echo "$@" > {tmp_path}/said')
    target = Foreign(machine="aarch64", python="3.13")
    pypi.install(["a==1"], tmp_path / "to", environ={"PATH": f"{only_uv}:/bin"}, target=target, arguments=["--no-deps"])
    assert said(tmp_path).split() == [
        *("pip", "install", "--python-platform", "aarch64-manylinux_2_28", "--python-version", "3.13"),
        *("--only-binary=:all:", "--target", str(tmp_path / "to"), "--no-deps", "a==1"),
    ]


def test_uv_takes_this_machine_by_default(only_uv: Path, tmp_path: Path) -> None:
    program(only_uv / "uv", f'echo "$@" > {tmp_path}/said')
    pypi.install(["a==1"], tmp_path / "to", environ={"PATH": f"{only_uv}:/bin"})
    assert "--python-platform" not in said(tmp_path)
    assert f"--python {sys.executable}" in said(tmp_path)


def test_tells_what_each_installer_said(only_uv: Path, tmp_path: Path) -> None:
    program(only_uv / "uv", "echo no such package >&2", "exit 1")
    with pytest.raises(WayFailed, match="uv pip install: no such package"):
        pypi.install(["a==1"], tmp_path / "to", environ={"PATH": f"{only_uv}:/bin"})


def test_where_there_is_no_installer_that_is_the_reason(only_uv: Path, tmp_path: Path) -> None:
    with pytest.raises(WayFailed, match="neither pip nor uv"):
        pypi.install(["a==1"], tmp_path / "to", environ={"PATH": str(only_uv)})


def test_wheels_of_another_machine_are_not_compiled_by_this_python() -> None:
    pip = pypi._Installer(command=["pip"], environ={})
    words = pip.words_for(Foreign(machine="x86_64", python="3.13"))
    assert "--no-compile" in words
    assert [words[at + 1] for at, word in enumerate(words) if word == "--platform"] == [
        "manylinux_2_28_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux2014_x86_64",
    ]
    assert pip.words_for(None) == []

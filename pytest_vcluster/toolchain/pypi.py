"""Installs wheels from PyPI into a folder, for whatever machine they are meant to run on.

The one rule: by the installers that this Python has, with the user's own settings for them (indexes, mirrors,
certificates); nothing is ever compiled, and nothing gets into the environment that we run in.
"""

from __future__ import annotations

import glob
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pytest_vcluster.toolchain import guarded
from pytest_vcluster.toolchain.failures import WayFailed

_LIMIT_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Foreign:
    """Another machine than this one, whose wheels are wanted: Linux of an architecture, with a CPython."""

    machine: str
    """As in the names of wheels: x86_64, aarch64."""
    python: str
    """Such as 3.13."""


def install(
    requirements: Sequence[str],
    to: Path,
    *,
    environ: Mapping[str, str],
    arguments: Sequence[str] = (),
    target: Foreign | None = None,
    tick_seconds: float = 4.0,
    on_tick: Callable[[float], None] = lambda elapsed: None,
) -> None:
    """Install wheels of `requirements` into the folder `to`; WayFailed tells what each installer said.

    `target`: the machine they are for, where that is not this one.
    """
    tried = []
    for installer in _installers(environ):
        command = [*installer.command, *installer.words_for(target), "--only-binary=:all:", "--target", str(to)]
        try:
            outcome = guarded.run(
                [*command, *arguments, *requirements],
                cwd=to.parent,
                env={**environ, **installer.environ},
                limit_seconds=_LIMIT_SECONDS,
                tick_seconds=tick_seconds,
                on_tick=lambda _, elapsed: on_tick(elapsed),
            )
        except (OSError, guarded.Overdue) as error:
            tried.append(f"{' '.join(installer.command)}: {error}")
            continue
        if outcome.code == 0:
            return
        tried.append(f"{' '.join(installer.command)}: {outcome.tail(3)}")
        shutil.rmtree(to, ignore_errors=True)
    raise WayFailed("; ".join(tried) or "there is neither pip nor uv")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Installer:
    """A command that installs wheels, and what it needs."""

    command: list[str]
    environ: Mapping[str, str]
    is_uv: bool = False

    def words_for(self, target: Foreign | None) -> list[str]:
        """Say in this installer's words that `target` is meant."""
        if target is None:
            return ["--python", sys.executable] if self.is_uv else []
        if self.is_uv:
            # The oldest system that wheels of today are for, which is what pip is told as well.
            return ["--python-platform", f"{target.machine}-manylinux_2_28", "--python-version", target.python]
        platforms = [f"manylinux_2_28_{target.machine}", f"manylinux_2_17_{target.machine}"]
        platforms.append(f"manylinux2014_{target.machine}")
        words = [word for platform in platforms for word in ("--platform", platform)]
        return [*words, "--python-version", target.python, "--implementation", "cp", "--no-compile"]


def _installers(environ: Mapping[str, str]) -> Iterator[_Installer]:
    """What there is to install wheels with, best first."""
    pip = [sys.executable, "-m", "pip", "install"]
    if find_spec("pip"):
        yield _Installer(command=pip, environ={})
    path = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", "")])
    if uv := shutil.which("uv", path=path):
        yield _Installer(command=[uv, "pip", "install"], environ={}, is_uv=True)
    # A virtual environment made by uv has no pip, but Python itself carries one for making environments.
    ensurepip = find_spec("ensurepip")
    if ensurepip and ensurepip.origin:
        for wheel in glob.glob(str(Path(ensurepip.origin).with_name("_bundled") / "pip-*.whl")):  # noqa: PTH207
            yield _Installer(command=pip, environ={"PYTHONPATH": wheel})

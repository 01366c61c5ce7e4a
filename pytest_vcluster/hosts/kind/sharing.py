"""A kind cluster that is reused by name: made by the first run that asks for it, shared, and left behind.

The one rule: of a cluster that is there nothing is touched unless it bears our mark. Runs take turns at looking and
making, under a lock; while a cluster is being made a claim in the locked file says so, and the last will holds only for
as long as the claim does.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.errors import HostError
from pytest_vcluster.hosts.kind import claims, nodes
from pytest_vcluster.hosts.kind.claims import Claim
from pytest_vcluster.hosts.kind.creating import CREATE_SECONDS, ready
from pytest_vcluster.hosts.kind.host import KindHost
from pytest_vcluster.hosts.kind.naming import SHARED_MARK
from pytest_vcluster.hosts.kind.nodes import Node
from pytest_vcluster.hosts.kind.site import Site

_COMPLETE = "/kind/pytest-vcluster.json"
"""On the first node of a cluster whose creation has ended well: what it was made from."""
_QUERY_SECONDS = 30.0
_START_SECONDS = 60.0
_POLL_SECONDS = 0.5


async def obtain(site: Site, name: str, *, locks: Path, will: Callable[[LastWill], None]) -> KindHost:
    """Find or make the shared cluster `name`; HostError if there is one that is not ours, or is another one."""
    lock = locks / f"{name}.lock"
    what = f"creation of the kind cluster {name}"
    async with claims.held(lock, what=what, progress=site.progress, seconds=CREATE_SECONDS) as claim:
        found = await nodes.containers(site.docker, name)
        if found and claim.read() and all(_may_be_ours(node) for node in found):
            site.progress(f"kind cluster {name}: removing what a run that died has left of it")
            await site.remove(name)
            found = ()
        claim.write("")
        if found:
            await _adopt(site, name, found)
        else:
            await _make(site, name, claim, will=will)
        return await site.described(name, shared=True)


async def _make(site: Site, name: str, claim: Claim, *, will: Callable[[LastWill], None]) -> None:
    token = secrets.token_hex(8)
    claim.write(token)
    will(site.will(name, claim=(claim.path, token), mark=SHARED_MARK))
    try:
        await site.create(name, mark=SHARED_MARK)
        first = (await nodes.containers(site.docker, name))[0]
        await ready(site.docker, first, name, progress=site.progress)
        origin = json.dumps(_origin(site)).encode()
        await site.docker.run(
            "exec", "-i", first.name, "cp", "/dev/stdin", _COMPLETE, timeout=_QUERY_SECONDS, given=origin
        )
    except BaseException:
        await site.remove(name)
        claim.write("")
        raise
    claim.write("")


async def _adopt(site: Site, name: str, found: Sequence[Node]) -> None:
    command = f"{site.kind} delete cluster --name {name}"
    if not all(_may_be_ours(node) for node in found) or not any(node.is_node for node in found):
        raise HostError(
            f"--vcluster-reuse {name}: there is a kind cluster of this name that pytest-vcluster did not make, so it "
            "is left alone.\n"
            f"Its containers: {', '.join(node.name for node in found)}.\n"
            f"Choose another name. (If nobody needs that cluster: {command})"
        )
    stopped = [node.name for node in found if not node.running]
    if stopped:
        site.progress(f"kind cluster {name}: starting it again")
        await site.docker.run("start", *stopped, timeout=_START_SECONDS)
    origin = await _completed(site, name, found[0], command)
    asked = _origin(site)
    for key, option in (("image", "--vcluster-kind-image"), ("configuration", "--vcluster-kind-config")):
        if asked[key] is not None and asked[key] != origin.get(key):
            raise HostError(
                f"--vcluster-reuse {name}: that cluster was made with another {option} "
                f"({origin.get(key) or 'none'} instead of {asked[key]}).\n"
                f"Leave the option out, choose another name, or have it made anew: {command}"
            )
    kubeconfig = await _exported(site, name)
    site.kubeconfig.touch(mode=0o600)
    site.kubeconfig.write_text(kubeconfig)


def _may_be_ours(node: Node) -> bool:
    # kind puts no mounts into its load balancer.
    return SHARED_MARK in node.mounts or not node.is_node


def _origin(site: Site) -> dict[str, str | None]:
    """What a cluster that is made now would be made from, as far as it was asked for."""
    document = json.dumps(site.document, sort_keys=True, default=str).encode()
    return {
        "image": site.settings.kind_image,
        "configuration": hashlib.sha256(document).hexdigest()[:16] if site.document else None,
    }


async def _completed(site: Site, name: str, node: Node, command: str) -> dict[str, Any]:
    # Others that share this Docker but not our lock may just be making it.
    began = time.monotonic()
    while True:
        answer = await site.docker.answer("exec", node.name, "cat", _COMPLETE, timeout=_QUERY_SECONDS)
        if answer.code == 0:
            origin: dict[str, Any] = json.loads(answer.output)
            return origin
        if time.monotonic() - began > site.settings.timeout:
            raise HostError(
                f"--vcluster-reuse {name}: the creation of that cluster was never finished, or goes on elsewhere: "
                f"{node.name} has no {_COMPLETE} after {site.settings.timeout:.0f} s ({answer.said}).\n"
                f"If nobody makes it, remove it: {command}"
            )
        site.progress(f"kind cluster {name}: waiting for somebody else to finish making it")
        await asyncio.sleep(_POLL_SECONDS)


async def _exported(site: Site, name: str) -> str:
    arguments = ("get", "kubeconfig", f"--name={name}")
    answer = await site.docker.answer(*arguments, timeout=_QUERY_SECONDS, program=site.kind)
    if answer.code:
        raise HostError(f"kind {' '.join(arguments)} ended with {answer.code}:\n{answer.said}")
    return answer.output

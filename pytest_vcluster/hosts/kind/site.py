"""What it takes to make, look at and remove kind clusters from within a run.

The one rule: no policy. Whether a cluster is to be made, used or removed is decided by those who ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_vcluster.controlplane.component import Starter
from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.errors import HostError, Timeout
from pytest_vcluster.hosts.kind import concerns, configuration, creating, nodes, reaching
from pytest_vcluster.hosts.kind.docker import Docker
from pytest_vcluster.hosts.kind.host import KindHost
from pytest_vcluster.hosts.kind.images import Images
from pytest_vcluster.hosts.kind.nodes import Node
from pytest_vcluster.settings import Settings

REMOVE_SECONDS = 60.0
_QUERY_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where, and with what, a run makes its kind cluster."""

    settings: Settings
    document: Mapping[str, Any]
    """The user's kind configuration."""
    docker: Docker
    info: Mapping[str, Any]
    """What Docker says of itself."""
    kind: Path
    directory: Path
    starter: Starter
    progress: Callable[[str], None]

    @property
    def kubeconfig(self) -> Path:
        """Where the cluster's kubeconfig is put."""
        return self.directory / "kind.kubeconfig"

    def will(self, name: str, *, claim: tuple[Path, str] | None = None, mark: str = "") -> LastWill:
        """What removes the cluster `name` (only containers with `mark`, if one is given) when we can't."""
        return nodes.will(self.docker.program, self.docker.environ, name, claim=claim, mark=mark)

    async def create(self, name: str, *, mark: str) -> None:
        """Make the cluster; its nodes bear `mark`."""
        folder = (self.settings.kind_config or self.directory / "none").parent
        file = self.directory / "kind.yaml"
        file.write_text(configuration.rendered(configuration.merged(self.document, folder=folder, mark=mark)))
        await creating.create(
            name,
            kind=self.kind,
            docker=self.docker,
            configuration=file,
            image=self.settings.kind_image,
            kubeconfig=self.kubeconfig,
            concerns=concerns.told(self.info),
            starter=self.starter,
            progress=self.progress,
        )

    async def remove(self, name: str) -> None:
        """Remove all containers of the cluster, with their volumes."""
        ids = (await self.docker.run(*nodes.finding(name), timeout=_QUERY_SECONDS)).split()
        if ids:
            await self.docker.run(*nodes.REMOVING, *ids, timeout=REMOVE_SECONDS)

    async def described(self, name: str, *, shared: bool) -> KindHost:
        """Wait until the cluster's nodes are ready, and describe it."""
        found = tuple(node for node in await nodes.containers(self.docker, name) if node.is_node)
        if not found:
            raise HostError(f"The kind cluster {name} has no nodes any more: somebody removed them.")
        first = found[0]
        await creating.ready(self.docker, first, name, progress=self.progress)
        direct = await reaching.answers(first.address, reaching.API_PORT)
        kubeconfig = await asyncio.to_thread(self.kubeconfig.read_text)
        usable = await reaching.usable(kubeconfig, name=name, node=first.address, direct=direct)
        if usable != kubeconfig:
            await asyncio.to_thread(self.kubeconfig.write_text, usable)
        version = await self.docker.run("exec", first.name, "cat", "/kind/version", timeout=_QUERY_SECONDS)
        return KindHost(
            name=name,
            kubeconfig=self.kubeconfig,
            context=f"kind-{name}",
            version=version.strip(),
            nodes=found,
            gateway=first.gateway,
            way_back=await self._way_back(first),
            direct=direct,
            shared=shared,
            images=Images(
                self.docker,
                [node.name for node in found],
                cluster=name,
                offline=self.settings.offline,
                lasting=shared,
            ),
        )

    async def _way_back(self, node: Node) -> str | None:
        if node.gateway and nodes.is_ours(node.gateway):
            return node.gateway
        # Docker with a machine of its own (Docker Desktop, Colima) has a name for ours.
        try:
            answer = await self.docker.answer(
                "exec", node.name, "getent", "ahostsv4", "host.docker.internal", timeout=_QUERY_SECONDS
            )
        except Timeout:
            return None
        return answer.output.split()[0] if answer.code == 0 and answer.output.split() else None

"""Making one virtual cluster on a host: keys, addresses, objects; and taking it away again.

The one rule: it blocks, so it runs in threads; and `unmake` is right whatever `make` came to.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vcluster.controlplane import kube_apiserver
from pytest_vcluster.controlplane.addresses import Address, for_api_server
from pytest_vcluster.controlplane.datastore import without
from pytest_vcluster.controlplane.keys import KeyMaterial
from pytest_vcluster.controlplane.networks import ORIGIN, ServiceRange
from pytest_vcluster.controlplane.template import SERVICE_STATE, Template
from pytest_vcluster.errors import ApiError
from pytest_vcluster.hosts import chart
from pytest_vcluster.hosts.granting import Identity
from pytest_vcluster.hosts.in_cluster import files, objects, release
from pytest_vcluster.hosts.in_cluster.blocks import Block, blocks
from pytest_vcluster.hosts.in_cluster.cluster import PodCluster, Reached
from pytest_vcluster.hosts.in_cluster.host import Host
from pytest_vcluster.hosts.in_cluster.way_in import forwarded
from pytest_vcluster.hosts.recyclable import KeepBaseline
from pytest_vcluster.private_files import write_private
from pytest_vcluster.settings import NodeShape

if TYPE_CHECKING:
    from pytest_vcluster.hosts.in_cluster.backplane import Tools

API_PORT, ADMIN_PORT = 6443, 8443
"""Of the pod."""
_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What was made of one cluster."""

    material: KeyMaterial
    entrance: str
    reached: Reached | None
    """Where nodes are reached directly; else the way in is through the host."""
    service_range: ServiceRange | None
    """Its addresses, if states can be moved to and from them."""


class Making:
    """One cluster, from nothing to its objects and back."""

    def __init__(
        self,
        *,
        host: Host,
        tools: Tools,
        labels: Mapping[str, str],
        lease: str,
        version: str,
        directory: Path,
    ) -> None:
        self.name = directory.name
        self.version = version
        self._directory = directory
        self._host = host
        self._tools = tools
        self._labels = dict(labels)
        self._lease = lease
        self._beyond: Sequence[objects.Object] = ()

    def images(self) -> Sequence[str]:
        """All images that the pod is made of."""
        block = next(blocks(self._host.service_range, self._tools.chance))
        rendered = self._rendered(block, seed=False)
        pods = [found["spec"]["template"]["spec"] for found in rendered if found["kind"] == "StatefulSet"]
        return sorted({container["image"] for pod in pods for container in pod["containers"]})

    def make(self, start: Template | None) -> Made:
        """Make everything; with `start` the cluster begins with that state, where it can."""
        tools, host = self._tools, self._host
        entrance = for_api_server().ip
        with contextlib.closing(host.server.connect(timeout=_SECONDS)) as client:
            candidates = list(blocks(host.service_range, tools.chance))
            rendered: list[objects.Object] = []

            def root(block: Block) -> objects.Object:
                rendered[:] = self._rendered(block, seed=start is not None)
                return objects.split(rendered, self.name)[0]

            taken = release.take_block(client, host.namespace, candidates, root)
            block = taken.block
            reachable = (*host.addresses, "127.0.0.1", entrance)
            service = (self.name, f"{self.name}.{host.namespace}", f"{self.name}.{host.namespace}.svc")
            material = tools.make_keys(
                self.name,
                tuple(dict.fromkeys((*kube_apiserver.SERVER_NAMES, *service, *reachable, block.kubernetes_ip))),
            )
            keys = files.key_files(self.name, material, files.admin_api(self.name, reachable))
            self._write(keys)
            secrets = [objects.secret(self._keys, _bytes(files.for_the_pod(keys)), labels=self._labels)]
            if start is not None:
                seed = self._seed(start, block, material)
                secrets.append(objects.secret(self._seeds, {"state.json.gz": seed}, labels=self._labels))
            _, others = objects.split(rendered, self.name)
            self._beyond = others
            made = release.make(client, host.namespace, [*secrets, *others], owner=self.name, uid=taken.uid)
        reached = None
        if host.addresses:
            ports = release.node_ports(made, self.name)
            api, admin = (Address(host.addresses[0], ports[name]) for name in ("api", "admin"))
            reached = Reached(api=api, admin=admin)
        return Made(
            material=material,
            entrance=entrance,
            reached=reached,
            service_range=block.service_range,
        )

    def cluster(
        self,
        made: Made,
        reached: Reached,
        *,
        nodes: Sequence[NodeShape],
        timeout: float,
        keep_baseline: KeepBaseline | None,
        laid: bool,
        compare: bool,
    ) -> PodCluster:
        """The cluster that was made, which may not answer yet."""
        admin = reached.admin
        host = {
            "kind": self._host.kind,
            "version": self._host.version,
            "namespace": self._host.namespace,
            "kubeconfig": str(self._host.kubeconfig),
            "context": self._host.context,
            "pod": f"{self.name}-0",
            "way_back": self._host.way_back,
            "syncer_address": f"{admin.ip}:{admin.port}",
            "syncer_pki": str(self._directory),
        }
        return PodCluster(
            name=self.name,
            version=self.version,
            nodes=nodes,
            reached=reached,
            entrance=made.entrance,
            pki=self._directory,
            identity=Identity(
                server_authority=made.material.pairs["server-ca"].certificate,
                admin=made.material.pairs["admin"],
                client_authority=made.material.pairs["client-ca"],
            ),
            host=host,
            have_images=self._host.have_images,
            timeout=timeout,
            keep_baseline=keep_baseline,
            laid=laid,
            compare=compare,
        )

    def unmake(self) -> None:
        """Delete everything; what the host does not hear of now, it hears of by the end of our heartbeat."""
        with (
            contextlib.suppress(OSError, ApiError),
            contextlib.closing(self._host.server.connect(timeout=_SECONDS)) as client,
        ):
            release.delete(client, self._host.namespace, self.name, beyond=self._beyond)
        shutil.rmtree(self._directory, ignore_errors=True)

    @contextlib.asynccontextmanager
    async def reaching(self, made: Made) -> AsyncIterator[Reached]:
        """Where the pod's servers are reached, for as long as the context lasts."""
        if made.reached is not None:
            yield made.reached
            return
        path = f"/api/v1/namespaces/{self._host.namespace}/pods/{self.name}-0"
        async with forwarded(self._host.server, path, (API_PORT, ADMIN_PORT)) as (api, admin):
            yield Reached(api=api, admin=admin)

    @property
    def _keys(self) -> str:
        return f"{self.name}-keys"

    @property
    def _seeds(self) -> str:
        return f"{self.name}-seed"

    def _rendered(self, block: Block, *, seed: bool) -> list[objects.Object]:
        values = objects.values(
            version=self.version,
            labels=self._labels,
            service_range=block.cidr,
            kubernetes_ip=block.kubernetes_ip,
            dns_ip=block.dns_ip,
            node_ports=bool(self._host.addresses),
            keys=self._keys,
            seed=self._seeds if seed else "",
            nodes=self._host.nodes,
            metrics=self._host.metrics,
            lease=self._lease,
            syncer_image=self._tools.syncer_image,
            sync=self._tools.sync,
        )
        return chart.render(self._tools.helm, self.name, self._host.namespace, values)

    def _seed(self, start: Template, block: Block, material: KeyMaterial) -> bytes:
        authority = material.pairs["server-ca"].certificate
        entries = start.clone(service_range=block.service_range or ORIGIN, certificate_authority=authority)
        # Where addresses can't be moved, the API server makes those that a new cluster has.
        return files.seed(entries if block.service_range else without(entries, SERVICE_STATE))

    def _write(self, keys: Mapping[str, str]) -> None:
        self._directory.mkdir(parents=True, mode=0o700)
        for file in ("server-ca.crt", "admin.crt", "admin.key", "admin-api-ca.crt"):
            write_private(self._directory / file, keys[file])
        for file in ("admin-api-client.crt", "admin-api-client.key"):
            write_private(self._directory / file, keys[file])


def _bytes(texts: Mapping[str, str]) -> dict[str, bytes]:
    return {file: text.encode() for file, text in texts.items()}

"""One virtual cluster as the run service hands it out.

The one rule: it exists only while its control plane answers; what it says of itself is enough to make a lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from pytest_vcluster.controlplane import kubeconfig
from pytest_vcluster.controlplane.component import Death
from pytest_vcluster.controlplane.datastore import Datastore
from pytest_vcluster.controlplane.plane import ControlPlane
from pytest_vcluster.settings import NodeShape


class VirtualCluster:
    """A virtual cluster that runs. `died` is set as soon as a process of it ended, `on_host` when it has its nodes."""

    def __init__(self, plane: ControlPlane, *, nodes: Sequence[NodeShape], host: Mapping[str, str]) -> None:
        self.plane = plane
        self.nodes = tuple(nodes)
        self.deaths: list[Death] = []
        self.died = asyncio.Event()
        self.on_host = asyncio.Event()
        self._host = host

    @property
    def name(self) -> str:
        """The cluster's name, which is its namespace on the host too."""
        return self.plane.settings.name

    @property
    def version(self) -> str:
        """The Kubernetes version, such as v1.36.4."""
        return self.plane.settings.version

    @property
    def backend(self) -> tuple[str, int]:
        """Where the API server listens: what a lease's gate leads to."""
        return self.plane.address.ip, self.plane.address.port

    def facts(self, url: str) -> dict[str, object]:
        """What a lease that reaches the cluster at `url` is granted (blocks for a request to etcd)."""
        plane = self.plane
        datastore = Datastore(plane.settings.etcd_socket)
        try:
            revision = datastore.revision()
        finally:
            datastore.close()
        return {
            "cluster": self.name,
            "version": self.version,
            "url": url,
            "kubeconfig": kubeconfig.render(
                name=self.name, server=url, certificate_authority=plane.server_authority, client=plane.admin
            ),
            "certificate_authority": plane.server_authority,
            "client_certificate": plane.admin.certificate,
            "client_key": plane.admin.key,
            "client_ca_certificate": plane.client_authority.certificate,
            "client_ca_key": plane.client_authority.key,
            "revision": revision,
            "logs": {
                component.name.rpartition("/")[2]: {
                    "path": str(component.log),
                    "offset": component.log.stat().st_size,
                }
                for component in plane.components
            },
            "host": dict(self._host),
        }

"""The embedded host: a Kubernetes cluster made of processes, whose nodes and pods are simulated by kwok.

The one rule: it needs no Docker, no root and no rights beyond this user's. It starts beside the first virtual cluster,
which does not wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pytest_vcluster.controlplane import kube_controller_manager, kube_scheduler, kwok, plane, simulated_containers
from pytest_vcluster.controlplane.addresses import Address, beside
from pytest_vcluster.controlplane.component import RunningComponent, Starter
from pytest_vcluster.controlplane.datastore import without
from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.controlplane.kube_apiserver import KUBELET_PORT
from pytest_vcluster.controlplane.networks import HOST_SERVICE_RANGE, SERVICE_RANGES
from pytest_vcluster.controlplane.plane import ControlPlane, PlaneSettings
from pytest_vcluster.controlplane.template import SERVICE_STATE, Template
from pytest_vcluster.errors import ApiError, Timeout
from pytest_vcluster.hosts import simulated_nodes, storage, syncer
from pytest_vcluster.hosts.binaries import Found
from pytest_vcluster.settings import NodeShape
from pytest_vcluster.toolchain import Component

NAME = "host"
_POLL_SECONDS = 0.02
_KWOK_PORT = 10247


def _of(cluster: str) -> str:
    """The query for a cluster's own objects on the host."""
    return f"labelSelector={simulated_nodes.TENANT_LABEL.replace('/', '%2F')}%3D{cluster}"


def kubeconfig(directory: Path) -> Path:
    """Where the kubeconfig of the host below `directory` is, once it runs."""
    return directory / NAME / "kubeconfig"


def plane_settings(*, directory: Path, etcd_socket: Path, binaries: Found, timeout: float) -> PlaneSettings:
    """Describe the host's control plane.

    Pods arrive from virtual clusters, where ServiceAccount admission has already happened; here it would only make
    them wait for a `default` ServiceAccount in a namespace that is milliseconds old.
    """
    return PlaneSettings(
        name=NAME,
        version=binaries[Component.KUBE_APISERVER].version,
        directory=directory / NAME,
        etcd_socket=etcd_socket,
        service_range=HOST_SERVICE_RANGE,
        kubernetes_service_ip="10.64.0.1",
        apiserver_binary=binaries[Component.KUBE_APISERVER].path,
        controller_manager_binary=binaries[Component.KUBE_CONTROLLER_MANAGER].path,
        controllers=kube_controller_manager.HOST_CONTROLLERS,
        timeout=timeout,
        disabled_admission=("ServiceAccount",),
        hostpath_provisioner=True,
    )


@dataclass(slots=True, kw_only=True)
class EmbeddedHost:
    """A host that takes virtual clusters."""

    plane: ControlPlane
    directory: Path
    version: str
    timeout: float
    components: list[RunningComponent]
    kubelet: Address
    """Of all simulated nodes."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def admit(self, virtual: ControlPlane, *, nodes: Sequence[NodeShape]) -> None:
        """Make a virtual cluster's namespace and nodes, have the syncer carry it, and wait for its mirrored nodes."""
        client = self.plane.api()
        cluster = virtual.settings.name
        try:
            labels = {simulated_nodes.TENANT_LABEL: cluster}
            client.call("POST", "/api/v1/namespaces", {"metadata": {"name": cluster, "labels": labels}})
            for shape in nodes:
                client.call("POST", "/api/v1/nodes", self._node(shape, cluster))
            self._untainted(client, cluster, len(nodes))
        finally:
            client.close()
        body = syncer.tenant(
            name=cluster,
            kubeconfig=virtual.kubeconfig,
            host_namespace=cluster,
            kubernetes_service_ip=virtual.settings.kubernetes_service_ip,
            private_nodes_label=simulated_nodes.TENANT_LABEL,
            recycle=syncer.recycle(
                etcd=virtual.settings.etcd_socket,
                prefix=virtual.settings.etcd_prefix,
                freeze=[virtual.controller_manager.pid],
                rest=[component.pid for component in virtual.components],
                audit=virtual.settings.audit_log,
            ),
            gateway=syncer.endpoint(beside(virtual.address, KUBELET_PORT), pki=virtual.settings.pki),
        )
        syncer.add_tenant(syncer.connector(self.directory), body, timeout=self.timeout)

    def dismiss(self, cluster: str, *, nodes: Sequence[NodeShape]) -> None:
        """Undo `admit`; the host's namespace controller deletes what is left, in the background."""
        syncer.remove_tenant(syncer.connector(self.directory), cluster, timeout=self.timeout)
        client = self.plane.api()
        try:
            client.call("DELETE", f"/api/v1/namespaces/{cluster}")
            for shape in nodes:
                client.call("DELETE", f"/api/v1/nodes/{simulated_nodes.host_name(cluster, shape.name)}")
            # What the syncer carried beyond the namespace.
            client.call("DELETE", f"/apis/scheduling.k8s.io/v1/priorityclasses?{_of(cluster)}")
        finally:
            client.close()

    def _node(self, shape: NodeShape, cluster: str) -> dict[str, object]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return simulated_nodes.to_host(
            shape, cluster=cluster, number=next(self._numbers), version=self.version, now=now, kubelet=self.kubelet
        )

    def _untainted(self, client: Client, cluster: str, count: int) -> None:
        # Admission taints every new node `not-ready`; the node lifecycle controller takes that off when it has seen it.
        began = time.monotonic()
        path = f"/api/v1/nodes?{_of(cluster)}"
        tainted: list[str] = []
        while time.monotonic() - began < self.timeout:
            items = client.call("GET", path)["items"]
            tainted = [
                node["metadata"]["name"]
                for node in items
                if any(taint["key"] == "node.kubernetes.io/not-ready" for taint in node["spec"].get("taints", ()))
            ]
            if len(items) == count and not tainted:
                return
            time.sleep(_POLL_SECONDS)
        raise Timeout(
            f"Simulated nodes of {cluster} becoming schedulable",
            elapsed=self.timeout,
            last_seen=f"still tainted not-ready: {', '.join(tainted)}",
        )


@contextlib.asynccontextmanager
async def running(
    settings: PlaneSettings,
    starter: Starter,
    *,
    directory: Path,
    binaries: Found,
    template: Template,
    sync: Sequence[str] = (),
) -> AsyncIterator[EmbeddedHost]:
    """Run the host and its syncer, which also shares what `sync` says, and end both without a trace."""
    entries = without(template.entries, SERVICE_STATE)
    hosts_template = Template(version=template.version, entries=entries, root_ca=template.root_ca)
    started: list[RunningComponent] = []

    async def state(certificate_authority: str) -> dict[bytes, bytes]:
        return hosts_template.clone(service_range=SERVICE_RANGES[0], certificate_authority=certificate_authority)

    storage.prepare()
    async with plane.running(settings, starter, state=state) as control_plane:
        try:
            kubelet, behind = (beside(control_plane.address, port) for port in (KUBELET_PORT, _KWOK_PORT))
            containers = simulated_containers.furnish(directory / "simulated")
            config = syncer.write_config(
                directory,
                host_kubeconfig=control_plane.kubeconfig,
                kubelet=syncer.guarded_kubelet(
                    kubelet, pki=settings.pki, behind=behind, namespace=containers.namespace
                ),
                sync=sync,
            )
            for component in (
                syncer.component(config=config),
                kwok.component(
                    binaries[Component.KWOK].path,
                    name=NAME,
                    kubeconfig=control_plane.kubeconfig,
                    kubelet=behind,
                    containers=containers,
                ),
                kube_scheduler.component(
                    binaries[Component.KUBE_SCHEDULER].path, name=NAME, kubeconfig=control_plane.kubeconfig
                ),
            ):
                started.append(await starter.start(component))  # noqa: PERF401 - what started so far must be killed on failure
            await asyncio.to_thread(_furnish, control_plane)
            await syncer.answering(started[0], directory, timeout=settings.timeout)
            yield EmbeddedHost(
                plane=control_plane,
                directory=directory,
                version=settings.version,
                timeout=settings.timeout,
                components=[*control_plane.components, *started],
                kubelet=kubelet,
            )
        finally:
            for running_component in reversed(started):
                running_component.kill()
            await asyncio.gather(*(component.exited for component in started))


def _furnish(control_plane: ControlPlane) -> None:
    client = control_plane.api()
    try:
        client.call("POST", "/apis/storage.k8s.io/v1/storageclasses", storage.STORAGE_CLASS)
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
    finally:
        client.close()

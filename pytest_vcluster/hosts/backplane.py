"""What all virtual clusters of a run share, on the embedded host: one etcd, templates, the host, the syncer.

The one rule: it lives and dies as a whole. When a shared component ends, nothing that was built on it can be trusted
any more; the owner is told through `failed`, closes this backplane and opens another.

What is needed only when the first API server is on its way is imported then, by `opening`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vcluster.controlplane import etcd, kube_controller_manager, plane, template_name
from pytest_vcluster.controlplane.component import Death, RunningComponent, Starter, describe_exit
from pytest_vcluster.controlplane.keys import KeyMaterial
from pytest_vcluster.controlplane.last_words import tail
from pytest_vcluster.controlplane.networks import SERVICE_RANGES, ServiceRange
from pytest_vcluster.controlplane.plane import ControlPlane, PlaneSettings
from pytest_vcluster.errors import ProvisionError, VClusterError
from pytest_vcluster.hosts import binaries
from pytest_vcluster.settings import NodeShape, Settings
from pytest_vcluster.toolchain import Component, Sources

if TYPE_CHECKING:
    from pytest_vcluster.controlplane.template import Template
    from pytest_vcluster.hosts import embedded
    from pytest_vcluster.hosts.baselines import BaselineStore
    from pytest_vcluster.hosts.virtual import VirtualCluster


class EmbeddedBackplane:
    """The open backplane; made by `opening`."""

    def __init__(
        self,
        settings: Settings,
        directory: Path,
        *,
        starter: Starter,
        register: Callable[[int], None],
        progress: Callable[[str], None],
        sources: Sources,
        listening: asyncio.Future[None],
        make_keys: Callable[[str, Sequence[str]], KeyMaterial],
    ) -> None:
        self.deaths: list[Death] = []
        self.failed = asyncio.Event()
        self.on_its_way = asyncio.Event()
        """Set as soon as the first API server was started."""
        self._settings = settings
        self._directory = directory
        self._starter = starter
        self._register = register
        self._progress = progress
        self._sources = sources
        self._listening = listening
        self._make_keys = make_keys
        self._host_version = binaries.newest(settings.versions)
        self._free_ranges: list[ServiceRange] = list(reversed(SERVICE_RANGES[1:]))
        self._templates: dict[str, asyncio.Task[Template]] = {}
        self._baselines: dict[str, Template] = {}
        self._closing = asyncio.Event()
        self._host_task: asyncio.Task[None] | None = None
        self._host: asyncio.Future[embedded.EmbeddedHost] = asyncio.get_running_loop().create_future()

    @property
    def etcd_socket(self) -> Path:
        """The Unix socket of the shared etcd."""
        return etcd.socket(self._directory)

    async def host_ready(self) -> Mapping[str, object]:
        """Start the host if need be, wait until it takes virtual clusters, and describe it."""
        host = await self._running_host()
        return {
            "kind": "embedded",
            "version": host.version,
            "kubeconfig": str(host.plane.kubeconfig),
            "url": host.plane.address.url,
            "nodes": [node.name for node in self._settings.nodes],
        }

    def _host_facts(self, namespace: str) -> Mapping[str, str]:
        from pytest_vcluster.hosts import embedded, syncer  # noqa: PLC0415 - see above

        # Known before the host is: where its kubeconfig will be.
        return {
            "kind": "embedded",
            "version": self._host_version,
            "namespace": namespace,
            "kubeconfig": str(embedded.kubeconfig(self._directory)),
            "syncer": str(syncer.admin_socket(self._directory)),
            "way_back": "127.0.0.1",
        }

    @contextlib.asynccontextmanager
    async def virtual_cluster(
        self, *, version: str, nodes: Sequence[NodeShape], baseline: str = ""
    ) -> AsyncIterator[VirtualCluster]:
        """Run a virtual cluster of `version`, ready to be leased, with `baseline` in it if that can be cloned.

        Where the host runs already the cluster is on it, nodes and all; while the host still starts (the first cluster
        of a run) the cluster does not wait, and gets its nodes as soon as there are any.
        """
        service_range = self._take_range()
        try:
            settings = await self._plane_settings(version, service_range)
            if not template_name.path(settings, self._sources.cache).exists():
                await self._template(version)  # takes seconds; otherwise it is read while the API server starts
            laid = await asyncio.to_thread(self._baselines_for(settings).find, baseline) if baseline else None

            async def state(certificate_authority: str) -> Mapping[bytes, bytes]:
                self.on_its_way.set()
                from pytest_vcluster.hosts import storage  # noqa: PLC0415 - see above

                start = laid or await self._template(version)
                cloned = start.clone(service_range=service_range, certificate_authority=certificate_authority)
                return {**storage.stored_class(), **cloned}

            running = plane.running(settings, self._starter, state=state, listening=self._listening)
            async with running as control_plane:
                from pytest_vcluster.hosts.virtual import VirtualCluster  # noqa: PLC0415 - see above

                store = self._baselines_for(settings)
                cluster = VirtualCluster(
                    control_plane,
                    nodes=nodes,
                    host=self._host_facts(settings.name),
                    directory=self._directory,
                    watch=lambda component: self._watch(
                        [component], cluster.deaths, cluster.died, of=control_plane.components
                    ),
                    keep_baseline=functools.partial(store.keep, baseline, service_range=service_range),
                    laid=laid is not None,
                    compare=self._settings.isolation == "verify",
                )
                self._watch(control_plane.components, cluster.deaths, cluster.died, of=control_plane.components)
                if laid is not None:
                    await self._until_served(control_plane, laid)
                admission = asyncio.create_task(self._admit(cluster))
                try:
                    if self._host.done():
                        await asyncio.shield(admission)
                        if cluster.laid or not baseline:
                            await cluster.take_baseline()
                    yield cluster
                finally:
                    await self._dismiss(cluster, admission)
        finally:
            self._free_ranges.insert(0, service_range)

    async def _until_served(self, control_plane: ControlPlane, baseline: Template) -> None:
        from pytest_vcluster.controlplane import custom_resources  # noqa: PLC0415 - only where there is a baseline

        wait, timeout = custom_resources.wait_until_served, self._settings.timeout
        with contextlib.closing(control_plane.api()) as client:
            await asyncio.to_thread(wait, client, baseline.entries, timeout=timeout)

    async def _admit(self, cluster: VirtualCluster) -> None:
        try:
            host = await self._running_host(start=False)
            await asyncio.to_thread(host.admit, cluster.plane, nodes=cluster.nodes)
            cluster.on_host.set()
        except (OSError, VClusterError) as error:
            status = f"could not take {cluster.name}: {error}"
            cluster.deaths.append(Death(component="host", status=status, log="", tail=""))
            cluster.died.set()

    async def _dismiss(self, cluster: VirtualCluster, admission: asyncio.Task[None]) -> None:
        if self._closing.is_set() or self.failed.is_set() or not self._host.done():
            admission.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await admission
            return
        await admission
        # A host that is just dying ends as a whole, with everything of this cluster on it.
        with contextlib.suppress(OSError, VClusterError):
            await asyncio.to_thread(self._host.result().dismiss, cluster.name, nodes=cluster.nodes)

    async def _running_host(self, *, start: bool = True) -> embedded.EmbeddedHost:
        if start and self._host_task is None:
            self._host_task = asyncio.create_task(self._keep_host())
        return await asyncio.shield(self._host)

    async def _keep_host(self) -> None:
        from pytest_vcluster.hosts import embedded  # noqa: PLC0415 - see above

        try:
            found = await binaries.have(
                binaries.wanted_for_host(self._host_version),
                self._sources,
                register=self._register,
                progress=self._progress,
            )
            settings = replace(
                embedded.plane_settings(
                    directory=self._directory,
                    etcd_socket=self.etcd_socket,
                    binaries=found,
                    timeout=self._settings.timeout,
                ),
                make_keys=self._make_keys,
            )
            template = await self._template(self._host_version)
            await asyncio.shield(self._listening)
            async with embedded.running(
                settings,
                self._starter,
                directory=self._directory,
                binaries=found,
                template=template,
                sync=self._settings.sync,
            ) as host:
                self._watch(host.components, self.deaths, self.failed)
                self._host.set_result(host)
                await self._closing.wait()
        except (OSError, VClusterError) as error:
            if not self._host.done():
                self._host.set_exception(error)
                self._host.exception()  # whoever asks for the host gets it; nobody may ask

    async def _template(self, version: str) -> Template:
        if version not in self._templates:
            from pytest_vcluster.controlplane import template_store  # noqa: PLC0415 - see above

            settings = await self._plane_settings(version, self._free_ranges[-1])
            making = template_store.get(settings, self._starter, cache=self._sources.cache, progress=self._progress)
            self._templates[version] = asyncio.create_task(making)
        return await asyncio.shield(self._templates[version])

    def _baselines_for(self, settings: PlaneSettings) -> BaselineStore:
        from pytest_vcluster.hosts.baselines import BaselineStore  # noqa: PLC0415 - see above

        return BaselineStore(self._sources.cache, template_name.file_name(settings), self._baselines)

    async def _plane_settings(self, version: str, service_range: ServiceRange) -> PlaneSettings:
        found = await binaries.have(
            binaries.wanted_for_virtual(version), self._sources, register=self._register, progress=self._progress
        )
        name = f"vc-{secrets.token_hex(4)}"
        return PlaneSettings(
            name=name,
            version=found[Component.KUBE_APISERVER].version,
            directory=self._directory / name,
            etcd_socket=self.etcd_socket,
            service_range=service_range.cidr,
            kubernetes_service_ip=service_range.kubernetes_ip,
            apiserver_binary=found[Component.KUBE_APISERVER].path,
            controller_manager_binary=found[Component.KUBE_CONTROLLER_MANAGER].path,
            controllers=kube_controller_manager.virtual_controllers(found[Component.KUBE_APISERVER].version),
            timeout=self._settings.timeout,
            make_keys=self._make_keys,
            audited=True,
        )

    def _take_range(self) -> ServiceRange:
        if not self._free_ranges:
            raise ProvisionError(
                f"All {len(SERVICE_RANGES) - 1} Service ranges of the embedded host are in use. "
                "End some kept clusters (`pytest-vcluster list`, `pytest-vcluster down`) or lower --vcluster-pool."
            )
        return self._free_ranges.pop()

    def _watch(
        self,
        components: Iterable[RunningComponent],
        deaths: list[Death],
        died: asyncio.Event,
        *,
        of: Sequence[RunningComponent] | None = None,
    ) -> None:
        """Tell of the end of `components`, except of those that are not among `of` any more: they were replaced."""
        for component in components:

            def ended(exited: asyncio.Future[int], component: RunningComponent = component) -> None:
                if self._closing.is_set() or exited.cancelled() or (of is not None and component not in of):
                    return
                deaths.append(
                    Death(
                        component=component.name,
                        status=describe_exit(exited.result()),
                        log=str(component.log),
                        tail=tail(component.log),
                    )
                )
                died.set()

            component.exited.add_done_callback(ended)

    async def _close(self) -> None:
        self._closing.set()
        for task in self._templates.values():
            task.cancel()
        if self._host_task is not None:
            if not self._host.done():
                self._host_task.cancel()
            await asyncio.gather(self._host_task, return_exceptions=True)
        await asyncio.gather(*self._templates.values(), return_exceptions=True)
        if not self._host.done():
            self._host.cancel()

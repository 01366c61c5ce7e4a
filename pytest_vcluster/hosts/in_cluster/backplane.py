"""What all virtual clusters of a run share, on a host whose pods they are: the host, and what is known about versions.

The one rule: it makes pods and watches them. A pod that dies concerns its own lease; only a host that can't be reached
any more fails the whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from pytest_vcluster.controlplane.component import Death
from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.controlplane.keys import KeyMaterial
from pytest_vcluster.controlplane.template import Template
from pytest_vcluster.errors import ApiError, ProvisionError, Timeout, VClusterError
from pytest_vcluster.hosts.baselines import BaselineStore
from pytest_vcluster.hosts.chart import chart_folder
from pytest_vcluster.hosts.in_cluster import files, health, release, templates
from pytest_vcluster.hosts.in_cluster.cluster import PodCluster
from pytest_vcluster.hosts.in_cluster.host import Host
from pytest_vcluster.hosts.in_cluster.making import Made, Making
from pytest_vcluster.hosts.in_cluster.objects import RUN_LABEL
from pytest_vcluster.settings import NodeShape, Settings

_POLL_SECONDS = 0.05
_LOOK_SECONDS = 1.0
_LOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What clusters are made with."""

    helm: Path
    syncer_image: str
    cache: Path
    make_keys: Callable[[str, Sequence[str]], KeyMaterial]
    sync: Sequence[str] = ()
    chance: random.Random = field(default_factory=random.Random)


class PodBackplane:
    """The open backplane; made by `opening.opened`."""

    def __init__(self, settings: Settings, directory: Path, *, host: Host, run: str, lease: str, tools: Tools) -> None:
        self.deaths: list[Death] = []
        self.failed = asyncio.Event()
        self._settings = settings
        self._directory = directory
        self._host = host
        self._run = run
        self._lease = lease
        self._tools = tools
        self._templates: dict[str, Template | None] = {}
        self._baselines: dict[str, Template] = {}
        self._images: dict[str, asyncio.Task[None]] = {}
        self._clusters: dict[str, PodCluster] = {}

    async def host_ready(self) -> Mapping[str, object]:
        """Describe the host, which runs."""
        host = self._host
        return {
            "kind": host.kind,
            "version": host.version,
            "kubeconfig": str(host.kubeconfig),
            "context": host.context,
            "url": host.server.url,
            "namespace": host.namespace,
            "nodes": list(host.node_names),
        }

    @contextlib.asynccontextmanager
    async def virtual_cluster(
        self, *, version: str, nodes: Sequence[NodeShape], baseline: str = ""
    ) -> AsyncIterator[PodCluster]:
        """Run a virtual cluster of `version`, ready to be leased, with `baseline` in it if that can be cloned."""
        if tuple(nodes) != self._settings.nodes:
            raise ProvisionError(
                f"Simulated nodes (nodes=) are those of the embedded host; on --vcluster-host {self._host.kind} a "
                "cluster has the host's nodes. Leave `nodes` out, or run this test on the embedded host."
            )
        making = Making(
            host=self._host,
            tools=self._tools,
            labels={RUN_LABEL: self._run},
            lease=self._lease,
            version=version,
            directory=self._directory / f"vc-{secrets.token_hex(4)}",
        )
        await self._have_images(making)
        name = await asyncio.to_thread(templates.file_name, version, chart_folder(), metrics=self._host.metrics)
        start = await asyncio.to_thread(self._template, name)
        store = BaselineStore(self._tools.cache, name, self._baselines)
        laid = await asyncio.to_thread(store.find, baseline) if baseline else None
        if laid is not None and not files.fits(laid.entries):
            laid = None
        try:
            made = await asyncio.to_thread(making.make, laid or start)
            keep = None
            if made.service_range is not None:
                keep = functools.partial(store.keep, baseline, service_range=made.service_range)
            async with making.reaching(made) as reached:
                cluster = making.cluster(
                    made,
                    reached,
                    nodes=nodes,
                    timeout=self._settings.timeout,
                    keep_baseline=keep,
                    laid=laid is not None,
                    compare=self._settings.isolation == "verify",
                )
                await self._answering(cluster)
                await self._at_rest(cluster, made, name, fresh=start is None)
                if cluster.laid or not baseline:
                    await cluster.take_baseline()
                cluster.on_host.set()
                cluster.restarts = await asyncio.to_thread(self._restarts, cluster.name)
                self._clusters[cluster.name] = cluster
                yield cluster
        finally:
            self._clusters.pop(making.name, None)
            await asyncio.to_thread(making.unmake)

    async def _have_images(self, making: Making) -> None:
        version = making.version
        if version not in self._images:
            images = await asyncio.to_thread(making.images)
            self._images[version] = asyncio.ensure_future(self._host.have_images(images))
        try:
            await asyncio.shield(self._images[version])
        except VClusterError:
            # Whoever comes next may have more luck, or a user who mended it.
            self._images.pop(version, None)
            raise

    def _template(self, name: str) -> Template | None:
        if self._templates.get(name) is None:
            self._templates[name] = templates.read(self._tools.cache, name)
        return self._templates[name]

    async def _answering(self, cluster: PodCluster) -> None:
        """Wait until the syncer of a new cluster says that all is there; ProvisionError as soon as it never will."""
        began = looked = time.monotonic()
        said, seen = "nobody answers", "no pod yet"
        while (now := time.monotonic()) - began < self._settings.timeout:
            try:
                status, said = await asyncio.to_thread(cluster.health)
            except OSError as error:
                said = f"{type(error).__name__}: {error}"
            else:
                if status == 200:
                    return
            if now - looked > _LOOK_SECONDS:
                looked = now
                seen = await asyncio.to_thread(self._look, cluster.name, seen)
            await asyncio.sleep(_POLL_SECONDS)
        raise Timeout(
            f"The pod of {cluster.name} (Kubernetes {cluster.version}) becoming ready on the host",
            elapsed=self._settings.timeout,
            last_seen=f"pod {self._host.namespace}/{cluster.name}-0: {seen}; its syncer: {said}",
        )

    def _restarts(self, name: str) -> Mapping[str, int]:
        with contextlib.closing(self._host.server.connect(timeout=_LOST_SECONDS)) as client:
            return health.restarts(release.pod(client, self._host.namespace, name))

    def _with_last_words(self, name: str, deaths: Sequence[Death]) -> Sequence[Death]:
        with contextlib.closing(self._host.server.connect(timeout=_LOST_SECONDS)) as client:
            return [
                dataclasses.replace(
                    death,
                    tail=release.last_words(client, self._host.namespace, name, death.component.partition("/")[2]),
                )
                if death.component != f"{name}/pod"
                else death
                for death in deaths
            ]

    def _look(self, name: str, before: str) -> str:
        with contextlib.closing(self._host.server.connect(timeout=_LOST_SECONDS)) as client:
            try:
                pod = release.pod(client, self._host.namespace, name)
            except (OSError, ApiError) as error:
                return f"{before} (now: {error})"
            if pod is None:
                return self._no_pod(client, name)
            if container := health.crashing(pod):
                words = release.last_words(client, self._host.namespace, name, container)
                raise ProvisionError(
                    f"Container {container} of pod {self._host.namespace}/{name}-0 ends again and again.\n"
                    f"Its last lines:\n{words}"
                )
        if why := health.hopeless(pod):
            raise ProvisionError(
                f"The pod of {name} can't run on the host: {why}\n"
                f"Checked: pod {name}-0 in namespace {self._host.namespace} of {self._host.server.url}.\n"
                "For images: see whether the host's nodes can pull them, or load them beforehand."
            )
        return health.last_seen(pod)

    def _no_pod(self, client: Client, name: str) -> str:
        events = release.events(client, self._host.namespace, name)
        if why := health.refused(events):
            raise ProvisionError(
                f"The host refuses the pod of {name}: {why}\n"
                f"Checked: events of StatefulSet {name} in {self._host.namespace} of {self._host.server.url}.\n"
                "For a quota: raise it, or use fewer clusters (--vcluster-pool, -n)."
            )
        return "no pod yet"

    async def _at_rest(self, cluster: PodCluster, made: Made, template: str, *, fresh: bool) -> None:
        """Wait until a cluster that began with nothing has all that a new cluster has, and keep that for others."""
        if not fresh:
            return
        await asyncio.to_thread(templates.settle, cluster, self._settings.timeout)
        if made.service_range is not None and self._templates.get(template) is None:
            self._templates[template] = await asyncio.to_thread(
                templates.keep, self._tools.cache, template, cluster, service_range=made.service_range
            )

    async def watch(self) -> None:
        """Look after the pods of clusters until cancelled."""
        seen = time.monotonic()
        selector = quote(f"{RUN_LABEL}={self._run}", safe="")
        path = f"/api/v1/namespaces/{self._host.namespace}/pods?labelSelector={selector}"
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            known = dict(self._clusters)
            client = self._host.server.connect(timeout=_LOST_SECONDS)
            try:
                listed = (await asyncio.to_thread(client.call, "GET", path))["items"]
            except (OSError, ApiError) as error:
                if time.monotonic() - seen > _LOST_SECONDS:
                    status = f"could not be reached for {_LOST_SECONDS:g} s: {error}"
                    self.deaths.append(Death(component="host", status=status, log="", tail=""))
                    self.failed.set()
                    return
                continue
            finally:
                client.close()
            seen = time.monotonic()
            pods = {pod["metadata"]["name"]: pod for pod in listed}
            for name, cluster in known.items():
                if name in self._clusters and (ended := health.deaths(pods.get(f"{name}-0"), name, cluster.restarts)):
                    cluster.deaths += await asyncio.to_thread(self._with_last_words, name, ended)
                    cluster.died.set()

"""Opening a host whose pods virtual clusters are: a kind cluster, or one that is there already.

The one rule: whatever can be wrong (no Docker, no rights, another cluster than was meant) is found and told here,
before anything is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from pytest_vcluster.controlplane import key_maker
from pytest_vcluster.controlplane.component import Starter
from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.errors import ApiError
from pytest_vcluster.hosts import binaries, kind
from pytest_vcluster.hosts.in_cluster import existing, heartbeat, sweeping
from pytest_vcluster.hosts.in_cluster.backplane import PodBackplane, Tools
from pytest_vcluster.hosts.in_cluster.host import Host, service_range, tells_metrics
from pytest_vcluster.hosts.in_cluster.host_api import HostServer
from pytest_vcluster.images import syncer as syncer_images
from pytest_vcluster.settings import Settings
from pytest_vcluster.toolchain import Component, Sources, Wanted
from pytest_vcluster.toolchain.versions import HELM_VERSION, KIND_VERSION

NAMESPACE = "pytest-vcluster"
_SECONDS = 30.0
_NEWS_SECONDS = 5.0


@contextlib.asynccontextmanager
async def opened(
    settings: Settings,
    directory: Path,
    *,
    starter: Starter,
    register: Callable[[int], None],
    progress: Callable[[str], None],
    will: Callable[[LastWill], None],
    begun: key_maker.KeyMaker | None,
) -> AsyncIterator[PodBackplane]:
    """Open the host that `settings` name below `directory`, which exists, and close it without a trace."""
    sources = Sources.from_environ(os.environ, offline=settings.offline)
    wanted = [Wanted(Component.HELM, HELM_VERSION)]
    if settings.host == "kind":
        wanted.append(Wanted(Component.KIND, KIND_VERSION))
    found = await binaries.have(wanted, sources, register=register, progress=progress)
    run = directory.parent.name
    # Of the run, because the client that writes them remembers them for the next backplane.
    files = directory.parent / "host-credentials"
    files.mkdir(mode=0o700, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        if settings.host == "kind":
            making = kind.running(
                settings,
                directory=directory,
                starter=starter,
                register=register,
                progress=progress,
                will=will,
                kind_binary=found[Component.KIND].path,
            )
            cluster = await stack.enter_async_context(making)
            image = await asyncio.to_thread(_image, settings, progress)
            host = await asyncio.to_thread(_on_kind, cluster, settings, progress, files)
        else:
            image = existing.syncer_image(settings)
            helm = found[Component.HELM].path
            host = await asyncio.to_thread(existing.connected, settings, helm, image, progress, files)
        tools = Tools(
            helm=found[Component.HELM].path,
            syncer_image=image,
            cache=sources.cache,
            make_keys=key_maker.make_here if begun is None else begun.make,
            sync=settings.sync,
        )
        if settings.host == "existing" or settings.reuse:
            await asyncio.to_thread(_swept, host, run, progress)
        lease = await stack.enter_async_context(heartbeat.beating(host, run))
        backplane = PodBackplane(settings, directory, host=host, run=run, lease=lease, tools=tools)
        watching = asyncio.create_task(backplane.watch())
        stack.push_async_callback(_ended, watching)
        yield backplane


def _image(settings: Settings, progress: Callable[[str], None]) -> str:
    """The image that was named, or that of the installed syncer, built where Docker has none."""
    if settings.syncer_image:
        return settings.syncer_image
    tag = syncer_images.tag_of_installed()
    if not syncer_images.is_there(tag):
        syncer_images.build(tag, environ=os.environ, progress=progress)
    return tag


def _swept(host: Host, run: str, progress: Callable[[str], None]) -> None:
    with contextlib.closing(host.server.connect(timeout=_SECONDS)) as client:
        deleted = sweeping.sweep_own(client, host.namespace, run)
        deleted += sweeping.sweep(client, host.namespace, patient=False)
    if deleted:
        progress(f"removed what dead runs left on the host: {', '.join(deleted)}")


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def telling(tell: Callable[[float], None]) -> AsyncIterator[None]:
    """Give news of work that has none by itself, as long as the context lasts: whoever waits gives up without news."""
    began = asyncio.get_running_loop().time()

    async def tick() -> None:
        while True:
            await asyncio.sleep(_NEWS_SECONDS)
            tell(asyncio.get_running_loop().time() - began)

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        await _ended(ticking)


def _on_kind(cluster: kind.KindHost, settings: Settings, progress: Callable[[str], None], files: Path) -> Host:
    server = HostServer.load(cluster.kubeconfig, cluster.context, files=files)
    namespace = settings.namespace or NAMESPACE

    async def have_images(images: Sequence[str]) -> None:
        said = "loading images"

        def tell(text: str) -> None:
            nonlocal said
            said = text
            progress(text)

        async with telling(lambda seconds: progress(f"{said} ({seconds:.0f} s)")):
            await cluster.load(images, tell)

    with contextlib.closing(server.connect(timeout=_SECONDS)) as client:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        try:
            client.call("POST", "/api/v1/namespaces", body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        return Host(
            kind="kind",
            server=server,
            kubeconfig=cluster.kubeconfig,
            context=cluster.context,
            namespace=namespace,
            version=cluster.version,
            service_range=service_range(client, namespace),
            node_names=[node.name for node in cluster.nodes],
            nodes="shared",
            metrics=tells_metrics(client, namespace),
            addresses=[node.address for node in cluster.nodes] if cluster.direct else [],
            way_back=cluster.way_back or "",
            have_images=have_images,
        )

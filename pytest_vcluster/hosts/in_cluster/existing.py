"""A host that is there already: the cluster of a kubeconfig and a context that were both named.

The one rule: nothing is asked but what was named, and nothing is made before the host was told to the user and said
that all of it may be made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.errors import ApiError, HostError, SettingsError
from pytest_vcluster.hosts import chart
from pytest_vcluster.hosts.in_cluster import objects, rights, sweeping
from pytest_vcluster.hosts.in_cluster.host import Host, service_range, tells_metrics
from pytest_vcluster.hosts.in_cluster.host_api import HostServer
from pytest_vcluster.settings import Settings

if TYPE_CHECKING:
    pass

_SECONDS = 15.0
_NODES = "fake"
"""Without a right on those that there are."""


def syncer_image(settings: Settings) -> str:
    """The image that the host's nodes pull; SettingsError if none was named."""
    if not settings.syncer_image:
        raise SettingsError(
            "--vcluster-host existing without --vcluster-syncer-image: nodes of a cluster that is there already pull "
            "images from a registry. Build the syncer's with `pytest-vcluster image --tag REGISTRY/NAME:TAG`, push it "
            "there, and name it."
        )
    return settings.syncer_image


def connected(
    settings: Settings, helm: Path, image: str, progress: Callable[[str], None], files: Path | None = None
) -> Host:
    """Connect to the host, tell which it is, and see whether all may be made there; HostError if not.

    `files` as for `HostServer.load`.
    """
    assert settings.kubeconfig is not None
    assert settings.context is not None
    server = HostServer.load(settings.kubeconfig, settings.context, files=files)
    namespace = settings.namespace or _named(
        settings.kubeconfig,
        settings.context,
        "Say by --vcluster-namespace in which one virtual clusters may be made; it has to exist.",
    )
    with contextlib.closing(server.connect(timeout=_SECONDS)) as client:
        version = _version(client, server.url, settings)
        progress(f"host: {settings.context} ({server.url}, {version}), namespace {namespace}")
        lacking = rights.missing(client, namespace, needed(settings.versions[0], helm, image, namespace, settings.sync))
        if lacking:
            raise rights.refusal(lacking, where=f"context {settings.context}", namespace=namespace)
        found, metrics = service_range(client, namespace), tells_metrics(client, namespace)
    return Host(
        kind="existing",
        server=server,
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        namespace=namespace,
        version=version,
        service_range=found,
        node_names=(),
        nodes=_NODES,
        metrics=metrics,
        addresses=(),
        way_back="",
        have_images=_pulled_by_nodes,
    )


def swept(kubeconfig: Path, context: str, namespace: str | None) -> list[str]:
    """Delete what dead runs left on a host; returns the names of what was deleted. It takes a while: 15 s.

    HostError if the host can't be reached or refuses, SettingsError if nobody names a namespace.
    """
    where = namespace or _named(kubeconfig, context, "Say by --namespace which one to sweep.")
    server = HostServer.load(kubeconfig, context)
    try:
        with contextlib.closing(server.connect(timeout=_SECONDS)) as client:
            return sweeping.sweep(client, where, patient=True)
    except (OSError, ApiError) as error:
        raise HostError(
            f"Namespace {where} of context {context!r} in {kubeconfig} could not be swept: {error}\n"
            "Whoever sweeps may list and delete Services and Leases there."
        ) from error


def needed(version: str, helm: Path, image: str, namespace: str, sync: Iterable[str] = ()) -> Sequence[rights.Right]:
    """All rights that a run takes on such a host."""
    values = objects.values(
        version=version,
        labels={},
        # Neither addresses nor names have a say in rights.
        service_range="10.96.0.0/24",
        kubernetes_ip="10.96.0.1",
        dns_ip="10.96.0.10",
        node_ports=False,
        keys="keys",
        seed="",
        nodes=_NODES,
        # Looked at by itself: without it a run has all but figures.
        metrics=False,
        lease="lease",
        syncer_image=image,
        sync=sync,
    )
    rendered = chart.render(helm, "vc-00000000", namespace, values)
    # Names of what will be made are not known yet; whoever may do it to all may do it to them.
    return sorted({replace(right, name="") for right in rights.needed(rendered, forwarded=True)})


def _named(kubeconfig: Path, context: str, advice: str) -> str:
    found = namespace_of(kubeconfig, context)
    if not found:
        raise SettingsError(f"Context {context!r} of {kubeconfig} names no namespace. {advice}")
    return found


def namespace_of(kubeconfig: Path, context: str) -> str:
    """The namespace that a context names; empty if it names none."""
    document: Mapping[str, Any] = yaml.safe_load(kubeconfig.read_text())
    found = [entry["context"] for entry in document.get("contexts") or () if entry.get("name") == context]
    return str(found[0].get("namespace") or "") if found else ""


def _version(client: Client, url: str, settings: Settings) -> str:
    try:
        return str(client.call("GET", "/version")["gitVersion"])
    except (OSError, ApiError) as error:
        raise HostError(
            f"The host can't be reached: {error}\n"
            f"Checked: GET {url}/version, as the user of context {settings.context!r} in {settings.kubeconfig}.\n"
            "See whether `kubectl --kubeconfig ... --context ... version` works."
        ) from error


async def _pulled_by_nodes(_images: Sequence[str]) -> None:
    """Nodes of a host that is there already pull what they lack by themselves."""

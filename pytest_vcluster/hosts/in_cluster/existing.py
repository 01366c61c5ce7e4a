"""A host that is there already: the cluster of a kubeconfig and a context that were both named.

The one rule: nothing is asked but what was named, and nothing is made before the host was told to the user and said
that all of it may be made.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.errors import ApiError, HostError, SettingsError
from pytest_vcluster.hosts import chart
from pytest_vcluster.hosts.in_cluster import objects, rights
from pytest_vcluster.hosts.in_cluster.blocks import blocks
from pytest_vcluster.hosts.in_cluster.host import Host, service_range
from pytest_vcluster.hosts.in_cluster.host_api import HostServer
from pytest_vcluster.settings import Settings

if TYPE_CHECKING:
    from pytest_vcluster.hosts.in_cluster.backplane import Tools

_SECONDS = 15.0


def syncer_image(settings: Settings) -> str:
    """The image that the host's nodes pull; SettingsError if none was named."""
    if not settings.syncer_image:
        raise SettingsError(
            "--vcluster-host existing without --vcluster-syncer-image: nodes of a cluster that is there already pull "
            "images from a registry. Build the syncer's with `pytest-vcluster image --tag REGISTRY/NAME:TAG`, push it "
            "there, and name it."
        )
    return settings.syncer_image


def connected(settings: Settings, progress: Callable[[str], None]) -> Host:
    """Connect to the host, and tell which it is; HostError if it can't be reached or is not known well enough."""
    assert settings.kubeconfig is not None
    assert settings.context is not None
    server = HostServer.load(settings.kubeconfig, settings.context)
    namespace = settings.namespace or namespace_of(settings.kubeconfig, settings.context)
    if not namespace:
        raise SettingsError(
            f"Context {settings.context!r} of {settings.kubeconfig} names no namespace. Say by --vcluster-namespace in "
            "which one virtual clusters may be made; it has to exist."
        )
    with contextlib.closing(server.connect(timeout=_SECONDS)) as client:
        version = _version(client, server.url, settings)
        progress(f"host: {settings.context} ({server.url}, {version}), namespace {namespace}")
        found = service_range(client, namespace)
    return Host(
        kind="existing",
        server=server,
        kubeconfig=settings.kubeconfig,
        context=settings.context,
        namespace=namespace,
        version=version,
        service_range=found,
        node_names=(),
        nodes="fake",
        addresses=(),
        way_back="",
        have_images=_pulled_by_nodes,
    )


def check_rights(host: Host, tools: Tools, settings: Settings) -> None:
    """Raise HostError with every right that is missing."""
    block = next(blocks(host.service_range, random.Random(0)))  # noqa: S311 - any block will do
    values = objects.values(
        version=settings.versions[0],
        labels={},
        service_range=block.cidr,
        kubernetes_ip=block.kubernetes_ip,
        dns_ip=block.dns_ip,
        node_ports=False,
        keys="keys",
        seed="",
        nodes=host.nodes,
        lease="lease",
        syncer_image=tools.syncer_image,
    )
    rendered = chart.render(tools.helm, "vc-00000000", host.namespace, values)
    # Names of what will be made are not known yet; whoever may do it to all may do it to them.
    wanted = [right for right in rights.needed(rendered, forwarded=not host.addresses) if not right.name]
    with contextlib.closing(host.server.connect(timeout=_SECONDS)) as client:
        lacking = rights.missing(client, host.namespace, wanted)
    if lacking:
        raise rights.refusal(lacking, where=f"context {host.context}", namespace=host.namespace)


def namespace_of(kubeconfig: Path, context: str) -> str:
    """The namespace that a context names; empty if it names none."""
    document: Mapping[str, Any] = yaml.safe_load(kubeconfig.read_text())
    found = [entry["context"] for entry in document.get("contexts") or () if entry.get("name") == context]
    return str(found[0].get("namespace") or "") if found else ""


def _version(client: Client, url: str, settings: Settings) -> str:
    try:
        return str(client.call("GET", "/version")["gitVersion"])
    except (OSError, HTTPException, ApiError) as error:
        raise HostError(
            f"The host can't be reached: {error}\n"
            f"Checked: GET {url}/version, as the user of context {settings.context!r} in {settings.kubeconfig}.\n"
            "See whether `kubectl --kubeconfig ... --context ... version` works."
        ) from error


async def _pulled_by_nodes(_images: Sequence[str]) -> None:
    """Nodes of a host that is there already pull what they lack by themselves."""

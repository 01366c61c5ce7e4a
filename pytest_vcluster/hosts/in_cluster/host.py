"""A host cluster as virtual clusters in pods need it: where it is reached, and what may be done there.

The one rule: facts only, found once, when the host is opened.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.errors import ApiError, HostError
from pytest_vcluster.hosts.in_cluster import rights
from pytest_vcluster.hosts.in_cluster.host_api import HostServer
from pytest_vcluster.hosts.in_cluster.rights import Right

_NOT_AN_ADDRESS_OF_ANY_RANGE = "0.0.0.0"  # noqa: S104 - nothing is bound to it
_RANGE = re.compile(r"range of valid IPs is ([0-9a-f.:]+/[0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host cluster that takes pods."""

    kind: str
    """`kind` or `existing`."""
    server: HostServer
    kubeconfig: Path
    context: str
    namespace: str
    """Where everything is made; it exists."""
    version: str
    service_range: str
    node_names: Sequence[str]
    """Names of its nodes, as far as they may be read."""
    nodes: str
    """How virtual clusters see nodes: `shared` where they may be read, else `fake`."""
    metrics: bool
    """Whether it tells what pods use (metrics.k8s.io), and virtual clusters may be told."""
    addresses: Sequence[str]
    """Addresses of nodes that are reached directly from here; without any, all goes through the API server."""
    way_back: str
    """The address at which pods reach servers of this machine; empty if they don't."""
    have_images: Callable[[Sequence[str]], Awaitable[None]]
    """Sees to it that nodes have images; where nodes pull themselves it does nothing."""


def tells_metrics(client: Client, namespace: str) -> bool:
    """Whether the host tells what pods use, and lets us grant that right on; blocks for three requests at most."""
    try:
        client.call("GET", "/apis/metrics.k8s.io/v1beta1")
    except ApiError:
        return False
    return not rights.missing(client, namespace, [Right("metrics.k8s.io", "pods", verb) for verb in ("get", "list")])


def service_range(client: Client, namespace: str) -> str:
    """The host's range of Service addresses (CIDR); HostError if it can't be found out.

    Who may not read it learns it from the refusal of a Service that asks for an address of no range. That Service is
    never made: the request is a dry run, too.
    """
    with contextlib.suppress(ApiError):
        found = client.call("GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")
        return str(found["spec"]["cidrs"][0])
    probe = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"generateName": "vc-probe-"},
        "spec": {"clusterIP": _NOT_AN_ADDRESS_OF_ANY_RANGE, "ports": [{"port": 443}]},
    }
    said = "it took the address 0.0.0.0"
    try:
        client.call("POST", f"/api/v1/namespaces/{namespace}/services?dryRun=All", probe)
    except ApiError as error:
        said = str(error)
        if found_range := _RANGE.search(said):
            return found_range[1]
    raise HostError(
        f"The host's range of Service addresses is not known: {said}\n"
        "Checked: servicecidrs/kubernetes (networking.k8s.io), and what the host says of a Service outside of it.\n"
        "Grant `get` on servicecidrs.networking.k8s.io to the user of the kubeconfig."
    )

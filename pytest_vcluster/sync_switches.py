"""What virtual clusters can share with their host beyond what they always do, by the names of the syncer's switches.

The one rule: nothing is offered that leaves anything outside a virtual cluster's namespace on the host, or that the
rest of a run depends on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

TO_HOST = (
    "gateways",
    "grpc_routes",
    "http_routes",
    "ingresses",
    "network_policies",
    "pod_disruption_budgets",
    "reference_grants",
    "resource_claims",
    "service_accounts",
)
FROM_HOST = (
    "csi_drivers",
    "csi_nodes",
    "csi_storage_capacities",
    "device_classes",
    "gateway_classes",
    "ingress_classes",
    "priority_classes",
    "runtime_classes",
    "storage_classes",
    "volume_attributes_classes",
)
SWITCHES = (*(f"to_host.{name}" for name in TO_HOST), *(f"from_host.{name}" for name in FROM_HOST))

Sync = Mapping[str, Mapping[str, bool]]
"""Switches by direction and name."""


def turned_on(switches: Iterable[str], *, beside: Sync) -> dict[str, dict[str, bool]]:
    """Turn `switches` on besides what is on anyhow; what comes from the host does not go there as well."""
    sync = {direction: dict(names) for direction, names in beside.items()}
    for switch in switches:
        direction, name = switch.split(".")
        sync.setdefault(direction, {})[name] = True
        if direction == "from_host" and sync.get("to_host", {}).get(name):
            sync["to_host"][name] = False
    return sync


def to_chart(sync: Sync) -> dict[str, dict[str, bool]]:
    """The same in the chart's spelling."""
    return {_camel(direction): {_camel(name): on for name, on in names.items()} for direction, names in sync.items()}


def _camel(name: str) -> str:
    return re.sub(r"_(.)", lambda letter: letter[1].upper(), name)

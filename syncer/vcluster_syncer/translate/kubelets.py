"""Where a virtual node's kubelet is: at the gateway, which speaks for all of a tenant's nodes.

The one rule: a type of address of its own says so, and API servers of virtual clusters are told to look for no other
(`--kubelet-preferred-address-types`). What users go by, host names and IP addresses, stays what it is on the host.
"""

from __future__ import annotations

from typing import Any, Final

from vcluster_syncer.model import Object, Tenant

ADDRESS_TYPE: Final = "Kubelet"
"""Type of the node address that is the kubelet's."""


def to_virtual(status: Object, tenant: Tenant) -> dict[str, Any]:
    """Return a node's status with its kubelet where the tenant's gateway is; without a gateway nowhere."""
    made = {field: value for field, value in status.items() if field != "daemonEndpoints"}
    if "addresses" in made:
        made["addresses"] = [one for one in made["addresses"] if one["type"] != ADDRESS_TYPE]
    if tenant.kubelet_port:
        own = {"type": ADDRESS_TYPE, "address": tenant.kubelet_address}
        made["addresses"] = [*made.get("addresses", ()), own]
        made["daemonEndpoints"] = {"kubeletEndpoint": {"Port": tenant.kubelet_port}}
    return made

"""Node names in both directions.

A private node has a name of its own on the host and carries the virtual one in an annotation; a shared node has one
name. The one rule: a node the tenant can't see has no name in the other world.
"""

from __future__ import annotations

from vcluster_syncer import ownership
from vcluster_syncer.model import NODES, Key, Object, Tenant, World


def key_of(host: Object, tenant: Tenant) -> Key | None:
    """Return the virtual key of a host node, None when the tenant must not see it."""
    name = host["metadata"]["name"]
    if not tenant.private_nodes:
        return Key("", name)
    if ownership.labels_of(host).get(tenant.node_label) != (tenant.node_label_value or tenant.name):
        return None
    return Key("", ownership.annotations_of(host).get(ownership.NAME, name))


def to_virtual(host_node: str | None, world: World) -> str | None:
    """Return the virtual name of the host node of that name, None when the tenant has no such node."""
    node = world.host_named(NODES, host_node) if host_node else None
    key = key_of(node, world.tenant) if node is not None else None
    return key.name if key else None


def to_host(virtual_node: str | None, world: World) -> str | None:
    """Return the host's name of a virtual node, None when there is none behind it."""
    node = world.host(NODES, Key("", virtual_node)) if virtual_node else None
    return node["metadata"]["name"] if node is not None else None

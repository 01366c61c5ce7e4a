"""Node names in both directions.

A private node has a name of its own on the host and carries the virtual one in an annotation; a shared node has one
name, and so has one that is made up. The one rule: a node the tenant can't see has no name in the other world.
"""

from __future__ import annotations

from typing import Final

from vcluster_syncer import ownership
from vcluster_syncer.model import NODES, Key, Object, Tenant, World

FAKE: Final = f"{ownership.PREFIX}fake-node"
"""Annotation of a virtual node that is made up: its name, so that a copy is none."""


def is_fake(virtual: Object) -> bool:
    """Tell whether a virtual node is one that the syncer made up."""
    return bool(ownership.annotations_of(virtual).get(FAKE) == virtual["metadata"]["name"])


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
    if world.tenant.fake_node is not None:
        # Whatever node a pod of the tenant is on is one of its nodes, or becomes it at once.
        return host_node or None
    node = world.host_named(NODES, host_node) if host_node else None
    key = key_of(node, world.tenant) if node is not None else None
    return key.name if key else None


def to_host(virtual_node: str | None, world: World) -> str | None:
    """Return the host's name of a virtual node, None when there is none behind it."""
    if world.tenant.fake_node is not None:
        known = world.virtual(NODES, Key("", virtual_node)) if virtual_node else None
        return virtual_node if known is not None and is_fake(known) else None
    node = world.host(NODES, Key("", virtual_node)) if virtual_node else None
    return node["metadata"]["name"] if node is not None else None

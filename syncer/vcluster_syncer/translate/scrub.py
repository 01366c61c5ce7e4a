"""Host names out of texts that the virtual cluster's users read.

Schedulers and kubelets write the names of host objects into messages. The one rule: replace exactly the names that
belong to the object the text is about, to what it uses, to the tenant's nodes and to whatever else is carried for it;
longest first, so that no name cuts another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from vcluster_syncer import ownership
from vcluster_syncer.model import (
    CONFIGMAPS,
    ENDPOINT_SLICES,
    GATEWAYS,
    GRPC_ROUTES,
    HTTP_ROUTES,
    INGRESSES,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    RESOURCE_CLAIMS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    Key,
    Object,
    Reference,
    Resource,
    World,
)
from vcluster_syncer.naming import host_namespace_of, name_on_host
from vcluster_syncer.ownership import TOKENS_ROLE
from vcluster_syncer.translate import node_names

Scrub = Callable[[str], str]

CARRIED: Final = (
    PODS,
    SERVICES,
    CONFIGMAPS,
    SECRETS,
    ENDPOINT_SLICES,
    PERSISTENT_VOLUME_CLAIMS,
    RESOURCE_CLAIMS,
    INGRESSES,
    NAMESPACES,
    NETWORK_POLICIES,
    POD_DISRUPTION_BUDGETS,
    SERVICE_ACCOUNTS,
    GATEWAYS,
    HTTP_ROUTES,
    GRPC_ROUTES,
)
"""Whose objects have names of ours on the host."""
# As `naming` makes them.
_OURS: Final = re.compile(r"\b[a-z][a-z0-9-]*-[a-z2-7]{16}\b")


def _node_names(world: World) -> Iterable[tuple[str, str]]:
    if world.kind(NODES) is None:
        return
    for node in world.virtual_list(NODES):
        name = node["metadata"]["name"]
        host = node_names.to_host(name, world)
        if host and host != name:
            yield host, name


def _virtual_name(found: re.Match[str], world: World) -> str:
    for resource in CARRIED:
        kind = world.kind(resource)
        host = world.host_named(resource, found[0]) if kind is not None and kind.watch_host else None
        key = ownership.virtual_key(host, world.tenant, kind=resource.kind) if host is not None else None
        if key is not None:
            return key.name
    return found[0]


def scrubber(
    resource: Resource,
    key: Key,
    *,
    virtual: Object | None,
    host: Object | None,
    world: World,
    uses: Iterable[Reference] = (),
) -> Scrub:
    """Make the function that rewrites a text about `host` into one about `virtual`, which uses the objects `uses`."""
    tenant = world.tenant
    ordered: list[tuple[str, str]] = []

    def names() -> dict[str, str]:
        known = dict(_node_names(world))
        for used_resource, used in [(resource, key), *uses]:
            known[name_on_host(tenant, used_resource.kind, *used)] = used.name
        known[name_on_host(tenant, resource.kind, *key, role=TOKENS_ROLE)] = f"{key.name}-{TOKENS_ROLE}"
        if host is not None and virtual is not None:
            known[host["metadata"]["uid"]] = virtual["metadata"]["uid"]
        if tenant.each_namespace:
            namespaces = [namespace["metadata"]["name"] for namespace in world.virtual_list(NAMESPACES)]
            known.update((host_namespace_of(tenant, each), each) for each in namespaces)
        known[host_namespace_of(tenant, key.namespace)] = key.namespace or "the host"
        return known

    def scrub(text: str) -> str:
        if not ordered:
            # Only now: most objects have no text, and names take a hash each.
            ordered.extend(sorted(names().items(), key=lambda pair: -len(pair[0])))
        for found, shown in ordered:
            text = text.replace(found, shown)
        return _OURS.sub(lambda found: _virtual_name(found, world), text)

    return scrub


def messages(value: Any, scrub: Scrub) -> Any:
    """Return a copy of a JSON value in which every `message` was scrubbed."""
    if isinstance(value, Mapping):
        return {
            name: scrub(inside) if name == "message" and isinstance(inside, str) else messages(inside, scrub)
            for name, inside in value.items()
        }
    if isinstance(value, list):
        return [messages(inside, scrub) for inside in value]
    return value

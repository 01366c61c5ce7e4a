"""Host names out of texts that the virtual cluster's users read.

Schedulers and kubelets write the names of host objects into messages. The one rule: replace exactly the names that
belong to the object the text is about, to what it uses, and to the tenant's nodes; longest first, so that no name
cuts another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vcluster_syncer.model import NODES, Key, Object, Reference, Resource, World
from vcluster_syncer.naming import host_name, host_namespace_of
from vcluster_syncer.ownership import TOKENS_ROLE
from vcluster_syncer.translate import node_names

Scrub = Callable[[str], str]


def _node_names(world: World) -> Iterable[tuple[str, str]]:
    for node in world.virtual_list(NODES):
        name = node["metadata"]["name"]
        host = node_names.to_host(name, world)
        if host and host != name:
            yield host, name


def scrubber(
    resource: Resource, key: Key, *, virtual: Object, host: Object, world: World, uses: Iterable[Reference] = ()
) -> Scrub:
    """Make the function that rewrites a text about `host` into one about `virtual`, which uses the objects `uses`."""
    tenant = world.tenant
    names = dict(_node_names(world))
    for _, used in [(resource, key), *uses]:
        names[host_name(tenant.name, *used)] = used.name
    names[host_name(tenant.name, *key, role=TOKENS_ROLE)] = f"{key.name}-{TOKENS_ROLE}"
    names[host["metadata"]["uid"]] = virtual["metadata"]["uid"]
    names[host_namespace_of(tenant, key.namespace)] = key.namespace
    ordered = sorted(names.items(), key=lambda pair: -len(pair[0]))

    def scrub(text: str) -> str:
        for found, shown in ordered:
            text = text.replace(found, shown)
        return text

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

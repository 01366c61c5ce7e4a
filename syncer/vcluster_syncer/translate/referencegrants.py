"""Reference grants: who of another namespace may name what is here.

What they allow is decided before anything is carried, in `gateway_api`. They are carried all the same, because
controllers of the host look for them where they see a border. The one rule: a grant reaches the tenant's own objects
only, so each name it gives is a translated one, and a grant of everything stays one of the tenant's namespaces.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vcluster_syncer.model import (
    GATEWAYS,
    GRPC_ROUTES,
    HTTP_ROUTES,
    REFERENCE_GRANTS,
    Key,
    Kind,
    Object,
    Reference,
    Rule,
    Switch,
    Tenant,
    World,
)
from vcluster_syncer.naming import host_namespace_of, name_on_host
from vcluster_syncer.translate import carried, metadata


def _to_host(to: Object, key: Key, tenant: Tenant) -> Object:
    name = to.get("name")
    return {**to, "name": name_on_host(tenant, to["kind"], key.namespace, name)} if name else to


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host grant of a virtual one."""
    spec = virtual["spec"]
    return {
        "apiVersion": REFERENCE_GRANTS.api_version,
        "kind": REFERENCE_GRANTS.kind,
        "metadata": metadata.to_host(key, virtual, tenant, REFERENCE_GRANTS),
        "spec": {
            "from": [
                {**one, "namespace": host_namespace_of(tenant, one["namespace"])} for one in spec.get("from") or ()
            ],
            "to": [_to_host(one, key, tenant) for one in spec.get("to") or ()],
        },
    }


def _wakes(item: Object, world: World) -> Iterable[Reference]:
    for resource in (GATEWAYS, HTTP_ROUTES, GRPC_ROUTES):
        for one in world.virtual_list(resource) if world.kind(resource) is not None else ():
            yield resource, Key(one["metadata"]["namespace"], one["metadata"]["name"])


KIND = Kind(
    resource=REFERENCE_GRANTS,
    reconcile=carried.by(REFERENCE_GRANTS, to_host),
    host_key=carried.key_of(REFERENCE_GRANTS),
    wakes=_wakes,
    optional=True,
    switch=Switch("to_host", "reference_grants"),
    host_rules=(Rule.to_carry(REFERENCE_GRANTS),),
)

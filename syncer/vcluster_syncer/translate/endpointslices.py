"""EndpointSlices that a user wrote, directly or as Endpoints which the virtual cluster mirrors into slices.

Slices of Services with a selector are not carried: the host makes its own from the host pods, as the virtual
cluster does from the virtual ones. The one rule: a slice goes to the host only while its Service is in the virtual
cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    ENDPOINT_SLICES,
    PODS,
    SERVICES,
    Action,
    Key,
    Kind,
    Object,
    Reference,
    Rule,
    Tenant,
    World,
)
from vcluster_syncer.naming import host_namespace_of, name_on_host
from vcluster_syncer.translate import metadata, mirror, node_names, service_exports, service_imports

_SERVICE_NAME: Final = service_imports.SERVICE_NAME
_MANAGED_BY: Final = service_imports.MANAGED_BY
_MADE_FROM_PODS: Final = "endpointslice-controller.k8s.io"
_OURSELVES: Final = service_imports.OURSELVES
# Belongs to the virtual API server itself.
_KUBERNETES: Final = Key("default", "kubernetes")


def _is_wanted(virtual: Object, world: World) -> bool:
    labels = ownership.labels_of(virtual)
    service = Key(virtual["metadata"]["namespace"], labels.get(_SERVICE_NAME, ""))
    return (
        labels.get(_MANAGED_BY) != _MADE_FROM_PODS
        and service != _KUBERNETES
        and world.virtual(SERVICES, service) is not None
    )


def _endpoint(endpoint: Object, key: Key, world: World) -> dict[str, Any]:
    made = {name: value for name, value in endpoint.items() if name not in {"targetRef", "nodeName"}}
    target = endpoint.get("targetRef") or {}
    if target.get("kind") == PODS.kind:
        pod = Key(target.get("namespace") or key.namespace, target["name"])
        made["targetRef"] = {
            "kind": PODS.kind,
            "namespace": host_namespace_of(world.tenant, pod.namespace),
            "name": name_on_host(world.tenant, PODS.kind, *pod),
        }
    if node := node_names.to_host(endpoint.get("nodeName"), world):
        made["nodeName"] = node
    return made


def to_host(key: Key, virtual: Object, world: World) -> dict[str, Any]:
    """Make the host slice of a virtual one."""
    made = metadata.to_host(key, virtual, world.tenant, ENDPOINT_SLICES)
    service = ownership.labels_of(virtual)[_SERVICE_NAME]
    made["labels"] = {
        **made["labels"],
        _SERVICE_NAME: name_on_host(world.tenant, SERVICES.kind, key.namespace, service),
        # Under the name of a controller, that controller of the host would delete it as a leftover of its own.
        _MANAGED_BY: _OURSELVES,
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": made,
        "addressType": virtual["addressType"],
        "endpoints": [_endpoint(endpoint, key, world) for endpoint in virtual.get("endpoints") or ()],
        "ports": virtual.get("ports") or [],
    }


def _difference(host: Object, wanted: Object) -> Object:
    return {**metadata.difference(host, wanted), **decide.fields_patch(host, wanted, ("endpoints", "ports"))}


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a slice that no controller made from pods."""
    if not key.namespace:
        return service_exports.end_slice(key, host, world)
    service = Key(key.namespace, ownership.labels_of(virtual).get(_SERVICE_NAME, "") if virtual is not None else "")
    if virtual is not None and not _is_wanted(virtual, world):
        virtual = None
    exported = None if virtual is None or not world.tenant.exports else to_host(key, virtual, world)
    carried = decide.carry(
        ENDPOINT_SLICES,
        key,
        virtual,
        host,
        world,
        to_host=lambda wanted: to_host(key, wanted, world),
        difference=_difference,
    )
    return (*service_exports.carry_slice(key, exported, service, world), *carried)


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=ENDPOINT_SLICES.kind) or service_exports.host_key(host, tenant)


def _wakes(item: Object, world: World) -> Iterable[Reference]:
    origin = ownership.exported_of(item, world.tenant)
    if origin is not None:
        yield ENDPOINT_SLICES, origin
    elif mirror.is_mirrored(item):
        # The Service that is shown is looked at together with where it leads.
        yield SERVICES, Key(item["metadata"]["namespace"], ownership.labels_of(item).get(_SERVICE_NAME, ""))


KIND = Kind(
    resource=ENDPOINT_SLICES,
    reconcile=reconcile,
    host_key=_host_key,
    wakes=_wakes,
    host_rules=(Rule.to_carry(ENDPOINT_SLICES),),
)

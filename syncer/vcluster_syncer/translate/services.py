"""Services: the same on the host, with the same cluster IPs.

A tenant's IPs come from a range of the host's that is its own, so what a user was told at creation holds on the
host. The one rule: nothing of the host beyond the tenant is taken. Where nodes are private nobody reaches them from
outside, so a node port or a load balancer would be taken for nothing and the host Service is a plain cluster IP.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    ENDPOINT_SLICES,
    SERVICES,
    Action,
    Key,
    Kind,
    Object,
    PatchVirtual,
    Reference,
    Rule,
    Tenant,
    UpdateVirtualStatus,
    World,
)
from vcluster_syncer.translate import host_metadata, labels, metadata, service_exports, service_imports
from vcluster_syncer.translate.scrub import scrubber

KUBERNETES: Final = Key("default", "kubernetes")
"""Belongs to the virtual API server itself."""
_STAY: Final = frozenset({ownership.CANARY, ownership.STAYS})

_ALWAYS = (
    "clusterIP",
    "clusterIPs",
    "externalName",
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "ports",
    "publishNotReadyAddresses",
    "selector",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
    "type",
)
_OUTSIDE = (
    "allocateLoadBalancerNodePorts",
    "externalIPs",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "loadBalancerClass",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
)


def _is_inside(spec: Object, tenant: Tenant) -> bool:
    return bool(tenant.private_nodes and spec.get("type") in {"NodePort", "LoadBalancer"})


def _fields(tenant: Tenant) -> tuple[str, ...]:
    return _ALWAYS if tenant.private_nodes else _ALWAYS + _OUTSIDE


def _spec(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    spec = {name: virtual["spec"][name] for name in _fields(tenant) if name in virtual["spec"]}
    if _is_inside(virtual["spec"], tenant):
        spec["type"] = "ClusterIP"
        spec["ports"] = service_imports.ports_of(virtual)
    # No selector: the user, or a mirror of his Endpoints, says where it leads. One made of our labels alone would match
    # every pod of the namespace.
    if spec.get("selector"):
        spec["selector"] = labels.pairs_to_host(spec["selector"], tenant, key.namespace)
    return spec


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host Service of a virtual one."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata.to_host(key, virtual, tenant, SERVICES),
        "spec": _spec(key, virtual, tenant),
    }


def _status(virtual: Object, host: Object, tenant: Tenant) -> Sequence[Action]:
    if tenant.private_nodes or virtual["spec"].get("type") != "LoadBalancer":
        return ()
    status = virtual.get("status") or {}
    balancer = (host.get("status") or {}).get("loadBalancer") or {}
    if balancer == (status.get("loadBalancer") or {}):
        return ()
    return (UpdateVirtualStatus(SERVICES, {**virtual, "status": {**status, "loadBalancer": balancer}}),)


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a Service, bring the load balancer's addresses back, and have it where else it is to be."""
    if not key.namespace:
        return service_exports.end(key, host, world)
    if key == KUBERNETES or (virtual is not None and _STAY & ownership.labels_of(virtual).keys()):
        return ()

    def spec(exported: Object) -> Object:
        return _spec(key, exported, world.tenant)

    exports = service_exports.carry(key, virtual, world, spec)
    # Those last: whoever is told ends the pass.
    return (*_carry(key, virtual, host, world), *service_imports.follow(key, virtual, world), *exports)


def _carry(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    def difference(current: Object, wanted: Object) -> Object:
        spec = decide.fields_patch(current["spec"], wanted["spec"], _fields(world.tenant))
        return {**metadata.difference(current, wanted), **({"spec": spec} if spec else {})}

    actions = decide.carry(
        SERVICES,
        key,
        virtual,
        host,
        world,
        to_host=lambda wanted: to_host(key, wanted, world.tenant),
        difference=difference,
    )
    if virtual is None or host is None or not ownership.carries(host, virtual) or decide.is_terminating(host):
        return actions
    if shown := host_metadata.to_virtual(
        virtual,
        host,
        metadata.carried(host),
        lambda: scrubber(SERVICES, key, virtual=virtual, host=host, world=world),
    ):
        # The status follows when the answer to this one is there: its resourceVersion is needed.
        own = virtual["metadata"]
        show = PatchVirtual(SERVICES, key, own["uid"], shown, resource_version=own.get("resourceVersion", ""))
        return (*actions, show)
    return (*actions, *_status(virtual, host, world.tenant))


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=SERVICES.kind) or service_exports.host_key(host, tenant)


def _wakes(item: Object, world: World) -> Iterable[Reference]:
    yield from service_exports.wakes(item, world)
    # Whether a slice goes to the host depends on its Service being there.
    metadata_of = item["metadata"]
    for piece in world.virtual_list(ENDPOINT_SLICES, metadata_of["namespace"]):
        if ownership.labels_of(piece).get(service_imports.SERVICE_NAME) == metadata_of["name"]:
            yield ENDPOINT_SLICES, Key(metadata_of["namespace"], piece["metadata"]["name"])


KIND = Kind(
    resource=SERVICES, reconcile=reconcile, host_key=_host_key, wakes=_wakes, host_rules=(Rule.to_carry(SERVICES),)
)

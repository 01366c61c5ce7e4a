"""Gateways: made real by the host's controllers, with the tenant's certificates.

Which routes may attach is decided for the virtual namespaces, in `gateway_api`; on the host a gateway admits the
routes of the tenant's namespace, or namespaces. The status comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    GATEWAYS,
    Action,
    Key,
    Kind,
    Object,
    Rule,
    Switch,
    Tenant,
    UpdateVirtualStatus,
    World,
)
from vcluster_syncer.translate import gateway_api, labels, metadata
from vcluster_syncer.translate.scrub import messages, scrubber

_STATUS = ("addresses", "attachedListenerSets", "conditions", "listeners")


def _listener(listener: Object, tenant: Tenant) -> dict[str, Any]:
    allowed = listener.get("allowedRoutes")
    if not allowed:
        return dict(listener)
    spaces: dict[str, Any] = {"from": "Same"}
    if tenant.each_namespace and (allowed.get("namespaces") or {}).get("from", "Same") != "Same":
        spaces = {"from": "Selector", "selector": labels.everywhere(tenant)["namespaceSelector"]}
    return {**listener, "allowedRoutes": {**allowed, "namespaces": spaces}}


def to_host(key: Key, virtual: Object, world: World) -> dict[str, Any]:
    """Make the host Gateway of a virtual one."""
    spec = gateway_api.spec_to_host(virtual["spec"], gateway_api.Naming(GATEWAYS, key.namespace), world)
    if spec.get("listeners"):
        spec["listeners"] = [_listener(listener, world.tenant) for listener in spec["listeners"]]
    return {
        "apiVersion": GATEWAYS.api_version,
        "kind": GATEWAYS.kind,
        "metadata": metadata.to_host(key, virtual, world.tenant, GATEWAYS),
        "spec": spec,
    }


def _difference(host: Object, wanted: Object) -> Object:
    return {**metadata.difference(host, wanted), **decide.fields_patch(host, wanted, ("spec",))}


def _status(key: Key, virtual: Object, host: Object, world: World) -> Sequence[Action]:
    scrub = scrubber(GATEWAYS, key, virtual=virtual, host=host, world=world, uses=_references(virtual))
    before, there = virtual.get("status") or {}, host.get("status") or {}
    told = {name: messages(there[name], scrub) for name in _STATUS if name in there}
    if decide.fields_patch(before, told, _STATUS):
        kept = {name: value for name, value in before.items() if name not in _STATUS}
        return (UpdateVirtualStatus(GATEWAYS, {**virtual, "status": {**kept, **told}}),)
    return ()


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a Gateway, and bring its status back."""
    actions = decide.carry(
        GATEWAYS,
        key,
        virtual,
        host,
        world,
        to_host=lambda wanted: to_host(key, wanted, world),
        difference=_difference,
    )
    if virtual is None or host is None or not ownership.carries(host, virtual):
        return actions
    return (*actions, *_status(key, virtual, host, world))


def _references(virtual: Object) -> frozenset[Any]:
    return gateway_api.uses(virtual, GATEWAYS)


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=GATEWAYS.kind)


KIND = Kind(
    resource=GATEWAYS,
    reconcile=reconcile,
    host_key=_host_key,
    references=_references,
    optional=True,
    switch=Switch("to_host", "gateways"),
    host_rules=(Rule.to_carry(GATEWAYS),),
)

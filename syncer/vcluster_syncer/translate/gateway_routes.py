"""Routes of every protocol: attached to the host's copy of a gateway, leading to host Services.

The one rule: the status comes back parent by parent, each in the words in which the user named it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import Action, Key, Object, Resource, UpdateVirtualStatus, World
from vcluster_syncer.translate import gateway_api, metadata
from vcluster_syncer.translate.scrub import messages, scrubber

# What the API's own defaulting adds, on one side perhaps and on the other not.
_DEFAULTS = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}


def to_host(resource: Resource, key: Key, virtual: Object, world: World) -> dict[str, Any]:
    """Make the host route of a virtual one."""
    source = {name: value for name, value in virtual["spec"].items() if name != "parentRefs"}
    parents = [there for _, there in gateway_api.parents_to_host(virtual, resource, world)]
    spec = gateway_api.spec_to_host(source, gateway_api.Naming(resource, key.namespace), world)
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata.to_host(key, virtual, world.tenant, resource),
        "spec": {**spec, **({"parentRefs": parents} if parents else {})},
    }


def _comparable(parent: Object) -> Object:
    return {**_DEFAULTS, **{field: value for field, value in parent.items() if field != "namespace"}}


def _status(resource: Resource, key: Key, virtual: Object, host: Object, world: World) -> Sequence[Action]:
    scrub = scrubber(resource, key, virtual=virtual, host=host, world=world, uses=gateway_api.uses(virtual, resource))
    attached = gateway_api.parents_to_host(virtual, resource, world)
    parents = [
        {**messages(told, scrub), "parentRef": here}
        for told in (host.get("status") or {}).get("parents") or ()
        for here, there in attached
        if _comparable(told["parentRef"]) == _comparable(there)
    ]
    before = virtual.get("status") or {}
    if parents == (before.get("parents") or []):
        return ()
    return (UpdateVirtualStatus(resource, {**virtual, "status": {**before, "parents": parents}}),)


def reconciler(resource: Resource) -> Callable[[Key, Object | None, Object | None, World], Sequence[Action]]:
    """Make the function that carries routes of one protocol."""

    def difference(host: Object, wanted: Object) -> Object:
        return {**metadata.difference(host, wanted), **decide.fields_patch(host, wanted, ("spec",))}

    def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
        """Carry a route, and bring back what its gateways say of it."""
        actions = decide.carry(
            resource,
            key,
            virtual,
            host,
            world,
            to_host=lambda wanted: to_host(resource, key, wanted, world),
            difference=difference,
        )
        if virtual is None or host is None or not ownership.carries(host, virtual):
            return actions
        return (*actions, *_status(resource, key, virtual, host, world))

    return reconcile

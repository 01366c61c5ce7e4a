"""Services of the host in the virtual cluster, where an import of the tenant says so.

Their addresses are of the host's range, of which the virtual cluster has a part only. So such a Service gets an
address of the tenant's own, has no selector, and leads where the host's slices do; from there on it is carried like
any other that leads somewhere by hand. The one rule: only what was mirrored is kept in line, a Service that a user
made under that name is his.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    ENDPOINT_SLICES,
    SERVICES,
    Action,
    CreateVirtual,
    DeleteVirtual,
    Key,
    Object,
    PatchVirtual,
    Refuse,
    World,
)
from vcluster_syncer.naming import digest
from vcluster_syncer.translate import contents, metadata, mirror, node_names

SERVICE_NAME: Final = "kubernetes.io/service-name"
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
OURSELVES: Final = "vcluster-syncer"
_FIELDS: Final = (
    "externalName",
    "ports",
    "publishNotReadyAddresses",
    "sessionAffinity",
    "sessionAffinityConfig",
    "type",
)
_SLICE: Final = ("addressType", "endpoints", "ports")
_LONGEST: Final = 46
"""Of a name, for a dash and a hash to have room behind it."""


def is_headless(service: Object) -> bool:
    """Tell whether a Service has no address because nobody wants one."""
    return bool(service["spec"].get("clusterIP") == "None")


def ports_of(service: Object) -> list[dict[str, Any]]:
    """Return the ports of a Service as they are inside of a cluster."""
    return [
        {name: value for name, value in port.items() if name != "nodePort"}
        for port in service["spec"].get("ports") or ()
    ]


def _spec(host: Object) -> dict[str, Any]:
    spec = {name: host["spec"][name] for name in _FIELDS if name in host["spec"]}
    if spec.get("type") != "ExternalName":
        spec |= {"type": "ClusterIP", "ports": ports_of(host)}
    if is_headless(host):
        spec["clusterIP"] = "None"
    if host["spec"].get("ipFamilyPolicy", "SingleStack") != "SingleStack":
        spec["ipFamilyPolicy"] = "PreferDualStack"
    return spec


def _endpoint(endpoint: Object, world: World) -> dict[str, Any]:
    made = {name: endpoint[name] for name in ("addresses", "conditions", "hostname", "zone") if name in endpoint}
    if node := node_names.to_virtual(endpoint.get("nodeName"), world):
        made["nodeName"] = node
    return made


def _slice(key: Key, found: Object, world: World) -> dict[str, Any]:
    """Make what `mirror` shows of a host slice, for the Service `key`."""
    own = found["metadata"]
    return {
        "metadata": {
            "name": f"{key.name[:_LONGEST]}-{digest(own['namespace'], own['name'], key.name)}",
            # Without a name in it the virtual cluster's controllers take no interest.
            "labels": {SERVICE_NAME: key.name, MANAGED_BY: OURSELVES},
        },
        "addressType": found["addressType"],
        "endpoints": [_endpoint(endpoint, world) for endpoint in found.get("endpoints") or ()],
        "ports": found.get("ports") or [],
    }


def _slices(key: Key, found: Object | None, world: World) -> Iterable[Action]:
    """Have exactly those slices lead to what the Service `key` shows that do on the host; `found` is shown by it."""
    wanted: dict[str, dict[str, Any]] = {}
    if found is not None:
        own = found["metadata"]
        for each in world.imported_list(ENDPOINT_SLICES, own["namespace"]):
            if ownership.labels_of(each).get(SERVICE_NAME) == own["name"] and not decide.is_terminating(each):
                made = _slice(key, each, world)
                wanted[made["metadata"]["name"]] = made
    there = [
        each["metadata"]["name"]
        for each in world.virtual_list(ENDPOINT_SLICES, key.namespace)
        if ownership.labels_of(each).get(SERVICE_NAME) == key.name and mirror.is_mirrored(each)
    ]
    for name in dict.fromkeys((*there, *wanted)):
        own = Key(key.namespace, name)
        yield from mirror.follow(
            ENDPOINT_SLICES,
            own,
            # By its name, since its labels may have been edited.
            world.virtual(ENDPOINT_SLICES, own),
            wanted.get(name),
            fields=_SLICE,
            fixed=lambda item: item["addressType"],
        )


def _refuse(key: Key) -> Sequence[Action]:
    message = (
        f"the host's Service that is to be shown as {key.namespace}/{key.name} is not: this one, which was made in the "
        "virtual cluster, has its name. Rename yours, or have the host's shown under another name."
    )
    return (Refuse(SERVICES, key, "NameTaken", message),)


def _is_named(key: Key, world: World) -> bool:
    return any((one.resource, one.to_namespace, one.to_name) == (SERVICES, *key) for one in world.tenant.imports)


def follow(key: Key, virtual: Object | None, world: World) -> Sequence[Action]:
    """Show the Service of the host that an import names, and where it leads."""
    is_ours = virtual is not None and mirror.is_mirrored(virtual)
    if not (world.tenant.imports or is_ours) or (virtual is not None and decide.is_terminating(virtual)):
        return ()
    found = contents.shown_of(SERVICES, key, world)
    if found is not None and decide.is_terminating(found):
        found = None
    if virtual is not None and not is_ours:
        told = _refuse(key) if found is not None and _is_named(key, world) else ()
        return (*_slices(key, None, world), *told)
    if found is not None:
        return _show(key, virtual, found, world)
    gone = () if virtual is None else (DeleteVirtual(SERVICES, key, virtual["metadata"]["uid"]),)
    return (*gone, *_slices(key, None, world))


def _show(key: Key, virtual: Object | None, found: Object, world: World) -> Sequence[Action]:
    patience = contents.awaiting_namespace(key, world)
    if patience is not None:
        return patience
    wanted = mirror.to_virtual(SERVICES, key, {**found, "spec": _spec(found)}, fields=("spec",))
    if virtual is None:
        return (CreateVirtual(SERVICES, wanted), *_slices(key, found, world))
    uid = virtual["metadata"]["uid"]
    if is_headless(virtual) != is_headless(found) and "ExternalName" not in {_type(virtual), _type(found)}:
        # It can't get or lose its address; another one is made.
        return (DeleteVirtual(SERVICES, key, uid),)
    spec = decide.fields_patch(virtual["spec"], wanted["spec"], _FIELDS)
    patch = {**metadata.difference(virtual, wanted, mirror.MIRRORED), **({"spec": spec} if spec else {})}
    changes = (PatchVirtual(SERVICES, key, uid, patch),) if patch else ()
    return (*changes, *_slices(key, found, world))


def _type(service: Object) -> str:
    return str(service["spec"].get("type"))

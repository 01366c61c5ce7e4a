"""Volumes: what stands in the virtual cluster for the volumes that its claims have on the host.

Where the host's volumes may be read, it is a mirror: source, capacity and reclaim policy are real, and a volume that
outlives its claim is shown for as long as it lives. Otherwise it is made up from what the host claim tells. The one
rule: a volume that a user of the virtual cluster made is his; none of the host's is written over it. See
`static_volumes` for where those go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    NAMESPACES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    Action,
    CreateVirtual,
    DeleteHost,
    DeleteVirtual,
    Key,
    Kind,
    Object,
    PatchHost,
    PatchVirtual,
    Reference,
    Rule,
    Switch,
    Tenant,
    UpdateVirtualStatus,
    World,
)
from vcluster_syncer.translate import metadata, mirror, node_names, static_volumes, volume_matching, volume_names

_MADE_UP: Final = "volumes.vcluster-syncer"
_ENDED: Final = frozenset({"Released", "Failed"})
_POLICY: Final = "persistentVolumeReclaimPolicy"
# What may change in the life of a volume. Where it is (source, mode, affinity) may not.
_CHANGING: Final = ("accessModes", "capacity", "mountOptions", _POLICY, "volumeAttributesClassName")
_KEPT: Final = (*_CHANGING, "storageClassName", "volumeMode")
_ABOUT_THE_CLAIM: Final = ("claimRef", "nodeAffinity", *_KEPT)


def _record(virtual: Object) -> Mapping[str, Any]:
    """What a volume stands for: the name and uid of the host's volume, and what was last mirrored of it."""
    return metadata.carried(virtual, mirror.MIRRORED)


def _is_real(world: World) -> bool:
    kind = world.kind(PERSISTENT_VOLUMES)
    return kind is not None and kind.watch_host


def _claim(key: Key, world: World) -> tuple[Object, Object | None] | None:
    """Find the virtual claim that has a volume, and its host claim."""
    if world.kind(PERSISTENT_VOLUME_CLAIMS) is None:
        return None
    for resource, used_by in world.users(PERSISTENT_VOLUMES, key):
        virtual = world.virtual(PERSISTENT_VOLUME_CLAIMS, used_by) if resource == PERSISTENT_VOLUME_CLAIMS else None
        if virtual is None:
            continue
        host = world.host(PERSISTENT_VOLUME_CLAIMS, used_by)
        if host is None or not ownership.carries(host, virtual):
            return virtual, None
        if volume_names.of_claim(host, world) == key.name:
            return virtual, host
    return None


def _source(volume: Object, claim: Object) -> dict[str, Any]:
    """The source of a host volume, without the host's Secrets and the names of its claim there."""
    host = volume["spec"].get("claimRef") or {}
    names = {host.get(field): claim[field] for field in ("name", "namespace")}

    def told(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: told(inside) for name, inside in value.items() if not name.lower().endswith("secretref")}
        return names.get(value, value) if isinstance(value, str) else value

    return {name: told(value) for name, value in volume["spec"].items() if name not in _ABOUT_THE_CLAIM}


def _affinity(volume: Object, world: World) -> Any:
    """A host volume's node affinity; the names of nodes in it are the virtual ones."""

    def told(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: told(inside) for name, inside in value.items()}
        if isinstance(value, list):
            return [told(inside) for inside in value]
        return (node_names.to_virtual(value, world) or value) if isinstance(value, str) else value

    return told(volume["spec"].get("nodeAffinity"))


def _mirrored(claim: Object, volume: Object, world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = {**_source(volume, claim), **{name: volume["spec"][name] for name in _KEPT if name in volume["spec"]}}
    if affinity := _affinity(volume, world):
        spec["nodeAffinity"] = affinity
    own = volume["metadata"]
    return spec, {"volume": own["name"], "uid": own["uid"], "policy": spec.get(_POLICY)}


def _made_up(key: Key, host_claim: Object, world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    there, status = host_claim["spec"], host_claim.get("status") or {}
    named = Key("", there.get("storageClassName") or "")
    found = world.host(STORAGE_CLASSES, named) if world.kind(STORAGE_CLASSES) is not None else None
    spec = {
        "accessModes": status.get("accessModes") or there.get("accessModes"),
        "capacity": status.get("capacity") or (there.get("resources") or {}).get("requests"),
        _POLICY: (found or {}).get("reclaimPolicy", "Delete"),
        "csi": {"driver": _MADE_UP, "volumeHandle": key.name},
        **{name: there[name] for name in ("storageClassName", "volumeMode") if name in there},
    }
    return spec, {"volume": there.get("volumeName"), "uid": host_claim["metadata"]["uid"]}


def _standing(
    key: Key, reference: Object, made: tuple[dict[str, Any], dict[str, Any]], volume: Object | None
) -> dict[str, Any]:
    spec, facts = made
    annotations = {} if volume is None else metadata.user_annotations(volume)
    labels = {} if volume is None else dict(ownership.labels_of(volume))
    record = {"name": key.name, "annotations": sorted(annotations), "labels": sorted(labels), **facts}
    annotations[mirror.MIRRORED] = json.dumps(record, separators=(",", ":"), sort_keys=True)
    return {
        "apiVersion": "v1",
        "kind": PERSISTENT_VOLUMES.kind,
        "metadata": {"name": key.name, "labels": labels, "annotations": annotations},
        "spec": {**spec, "claimRef": reference},
    }


def mirrored(key: Key, reference: Object, volume: Object, world: World) -> dict[str, Any]:
    """Make what stands for a host volume; `reference` is to its virtual claim."""
    return _standing(key, reference, _mirrored(reference, volume, world), volume)


def made_up(key: Key, reference: Object, host_claim: Object, world: World) -> dict[str, Any]:
    """Make what stands for a host volume that may not be read, of what its claim tells."""
    return _standing(key, reference, _made_up(key, host_claim, world), None)


def _remove(key: Key, virtual: Object) -> Sequence[Action]:
    own = virtual["metadata"]
    if not decide.is_terminating(virtual):
        return (DeleteVirtual(PERSISTENT_VOLUMES, key, own["uid"]),)
    return volume_names.unprotected(key, virtual)


def _policy_to_host(virtual: Object, volume: Object, world: World) -> Sequence[Action]:
    """What becomes of the data may be decided in the virtual cluster, if we may tell the host."""
    once, here, there = _record(virtual).get("policy"), virtual["spec"].get(_POLICY), volume["spec"].get(_POLICY)
    if not volume_matching.may_write(world) or once is None or here == once or there != once:
        return ()
    own = volume["metadata"]
    return (PatchHost(PERSISTENT_VOLUMES, own["name"], own["uid"], {"spec": {_POLICY: here}}),)


def _phase(volume: Object) -> str:
    phase: str = (volume.get("status") or {}).get("phase") or "Bound"
    return phase


def _follow(key: Key, virtual: Object, wanted: Object, phase: str) -> Sequence[Action]:
    spec = decide.fields_patch(virtual["spec"], wanted["spec"], _CHANGING)
    patch = {**metadata.difference(virtual, wanted, mirror.MIRRORED), **({"spec": spec} if spec else {})}
    if patch:
        return (PatchVirtual(PERSISTENT_VOLUMES, key, virtual["metadata"]["uid"], patch),)
    status = virtual.get("status") or {}
    if status.get("phase") == phase:
        return ()
    return (UpdateVirtualStatus(PERSISTENT_VOLUMES, {**virtual, "status": {**status, "phase": phase}}),)


def _stand(key: Key, virtual: Object | None, claim: Object, host_claim: Object, world: World) -> Sequence[Action]:
    """Have a volume stand for that of a bound claim."""
    volume = world.host_named(PERSISTENT_VOLUMES, host_claim["spec"]["volumeName"]) if _is_real(world) else None
    reference = volume_names.referring_to(claim)
    if volume is not None:
        wanted = mirrored(key, reference, volume, world)
    elif _is_real(world):
        # Its watch is behind that of the claims, or it was deleted and the claim is lost.
        return ()
    else:
        wanted = made_up(key, reference, host_claim, world)
    if virtual is None:
        return () if decide.is_terminating(claim) else (CreateVirtual(PERSISTENT_VOLUMES, wanted),)
    is_same = (virtual["spec"].get("claimRef") or {}).get("uid") == reference["uid"]
    if not is_same or _record(virtual).get("uid") != _record(wanted).get("uid"):
        # It stood for another one, whose source can't be changed: this one is made anew.
        return _remove(key, virtual)
    if volume is None:
        return _follow(key, virtual, wanted, "Bound")
    return _policy_to_host(virtual, volume, world) or _follow(key, virtual, wanted, _phase(volume))


def _outlive(key: Key, virtual: Object, world: World) -> Sequence[Action]:
    """Show a volume whose claim is gone for as long as the host has it."""
    record = _record(virtual)
    volume = world.host_named(PERSISTENT_VOLUMES, str(record.get("volume"))) if _is_real(world) else None
    reference = virtual["spec"].get("claimRef")
    if volume is None or not reference or volume["metadata"]["uid"] != record.get("uid"):
        return _remove(key, virtual)
    if decide.is_terminating(virtual) and _phase(volume) in _ENDED:
        return _remove(key, virtual)
    wanted = mirrored(key, reference, volume, world)
    return _policy_to_host(virtual, volume, world) or _follow(key, virtual, wanted, _phase(volume))


def _shown_as(name: str, world: World) -> Key | None:
    """Which virtual volume stands for the host volume of that name."""
    for virtual in world.virtual_list(PERSISTENT_VOLUMES):
        if mirror.is_mirrored(virtual) and _record(virtual).get("volume") == name:
            return Key("", virtual["metadata"]["name"])
    return None


def _is_ours(volume: Object, world: World) -> bool:
    namespace = (volume["spec"].get("claimRef") or {}).get("namespace")
    kind = world.kind(NAMESPACES) if world.tenant.each_namespace else None
    if kind is None:
        return bool(namespace == world.tenant.host_namespace)
    host = world.host_named(NAMESPACES, namespace or "")
    return host is not None and kind.host_key(host, world.tenant) is not None


def _give_up(volume: Object, world: World) -> Sequence[Action]:
    """Delete a host volume that outlived its claim, once its user has deleted what stood for it."""
    own, spec = volume["metadata"], volume["spec"]
    is_left = _phase(volume) in _ENDED and spec.get(_POLICY) == "Retain"
    if (
        not is_left
        or not volume_matching.may_write(world)
        or not _is_ours(volume, world)
        or decide.is_terminating(volume)
    ):
        return ()
    if _shown_as(own["name"], world) is not None or volume_names.claim_of(volume, world) is not None:
        return ()
    return (DeleteHost(PERSISTENT_VOLUMES, own["name"], own["uid"]),)


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Have a volume stand in the virtual cluster for one that a claim of its has on the host, and the other way."""
    carried = host if host is not None and static_volumes.host_key(host, world.tenant) is not None else None
    if carried is not None or (virtual is not None and not mirror.is_mirrored(virtual)):
        return static_volumes.carry(key, virtual, carried, world)
    found = _claim(key, world)
    if found is None:
        if virtual is not None:
            return _outlive(key, virtual, world)
        return () if host is None else _give_up(host, world)
    claim, host_claim = found
    if host_claim is None:
        # The claim is about to get another volume, under this name.
        return ()
    return _stand(key, virtual, claim, host_claim, world)


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    if static_volumes.was_made(host, tenant):
        # Or nobody's any more: of an epoch that is over.
        return static_volumes.host_key(host, tenant)
    # Reserved for a claim of the tenant's: nobody else's volumes are even remembered, unless their namespaces have to
    # be seen to know whose they are.
    namespace = (host["spec"].get("claimRef") or {}).get("namespace")
    is_near = namespace == tenant.host_namespace or (tenant.each_namespace and namespace)
    return Key("", host["metadata"]["name"]) if is_near else None


def _wakes(item: Object, world: World) -> Iterable[Reference]:
    if not _is_real(world):
        return
    if static_volumes.host_key(item, world.tenant) is not None:
        # Its own key is looked at in any case; the claim that has it may wait for its name.
        if claimed := volume_names.claim_of(item, world):
            yield PERSISTENT_VOLUME_CLAIMS, claimed
        return
    claim = volume_names.claim_of(item, world)
    virtual = world.virtual(PERSISTENT_VOLUME_CLAIMS, claim) if claim is not None else None
    known = virtual["spec"].get("volumeName") if virtual is not None else None
    shown = Key("", known) if known else _shown_as(item["metadata"]["name"], world)
    if shown is not None:
        yield PERSISTENT_VOLUMES, shown


MADE_UP = Kind(resource=PERSISTENT_VOLUMES, reconcile=reconcile, host_key=_host_key, watch_host=False)
"""Without the right to read volumes: always there, so that a bound claim's volume can be looked up."""
FROM_HOST = Kind(
    resource=PERSISTENT_VOLUMES,
    reconcile=reconcile,
    host_key=_host_key,
    one_namespace=True,
    wakes=_wakes,
    switch=Switch("from_host", "persistent_volumes"),
    host_rules=(Rule.to_read(PERSISTENT_VOLUMES),),
)
"""Mirrored: what a user changes in the virtual cluster is put back."""
TO_HOST = Kind(
    resource=PERSISTENT_VOLUMES,
    reconcile=reconcile,
    host_key=_host_key,
    references=static_volumes.references,
    one_namespace=True,
    wakes=_wakes,
    switch=Switch("to_host", "persistent_volumes"),
    host_rules=(Rule("", ("persistentvolumes",), ("delete", "get", "list", "patch", "watch"), cluster_scoped=True),),
)
"""Mirrored, and a user may decide what becomes of the data: change the reclaim policy, delete a released volume.
What he makes himself goes to the host."""

"""Volumes that users of the virtual cluster made, on the host.

The host's binder gives a volume that is free to whoever asks for one like it, neighbours included. The one rule: no
volume of a tenant's is ever free on the host. It is reserved for a claim of the tenant's or, until there is one that it
suits, for a claim that nobody makes. Which claim gets which volume is decided here, by the binder's criteria; that it
is bound is the host's word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership, quantities
from vcluster_syncer.model import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    SECRETS,
    STORAGE_CLASSES,
    Action,
    DeleteVirtual,
    Key,
    Object,
    PatchVirtual,
    Reference,
    Refuse,
    Tenant,
    UpdateVirtualStatus,
    World,
)
from vcluster_syncer.naming import host_namespace_of, name_on_host
from vcluster_syncer.translate import labels, metadata, mirror, volume_names

CLAIMED: Final = f"{ownership.PREFIX}claimed"
"""Annotation of a virtual volume: the uid of the host claim that its own claim reference stands for."""
_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
_KEPT: Final = ("accessModes", "capacity", "mountOptions", "persistentVolumeReclaimPolicy", "volumeAttributesClassName")


def host_key(host: Object, tenant: Tenant) -> Key | None:
    """Return the key of a host volume that was made for one of the tenant's users."""
    return ownership.virtual_key(host, tenant, kind=PERSISTENT_VOLUMES.kind)


def was_made(host: Object, tenant: Tenant) -> bool:
    """Tell whether a host volume was made for one of the tenant's users, whatever has become of him since."""
    is_ours = ownership.labels_of(host).get(ownership.TENANT_LABEL) == tenant.name
    return is_ours and ownership.annotations_of(host).get(ownership.KIND) == PERSISTENT_VOLUMES.kind


def _may_write(world: World) -> bool:
    kind = world.kind(PERSISTENT_VOLUMES)
    return kind is not None and kind.switch is not None and kind.switch.direction == "to_host"


def is_carried(name: str, world: World) -> bool:
    """Tell whether a virtual volume is one that a user made and that goes to the host."""
    virtual = world.virtual(PERSISTENT_VOLUMES, Key("", name)) if name and _may_write(world) else None
    return virtual is not None and not mirror.is_mirrored(virtual)


# Secrets that drivers need: the user's, which go along.


def _secret(place: Object) -> Key | None:
    return Key(place["namespace"], place["name"]) if place.get("namespace") and place.get("name") else None


def _named_secrets(value: Any) -> Iterator[Key]:
    for name, inside in value.items() if isinstance(value, Mapping) else ():
        if name.lower().endswith("secretref") and isinstance(inside, Mapping):
            if key := _secret(inside):
                yield key
        elif isinstance(inside, Mapping):
            yield from _named_secrets(inside)


def references(virtual: Object) -> frozenset[Reference]:
    """Return the Secrets that a user's volume names."""
    named = () if mirror.is_mirrored(virtual) else _named_secrets(virtual["spec"])
    return frozenset((SECRETS, key) for key in named)


def _told(value: Any, tenant: Tenant) -> Any:
    if not isinstance(value, Mapping):
        return value
    made = {}
    for name, inside in value.items():
        key = _secret(inside) if name.lower().endswith("secretref") and isinstance(inside, Mapping) else None
        if key is None:
            made[name] = _told(inside, tenant)
        else:
            there = {"name": name_on_host(tenant, SECRETS.kind, *key), "namespace": host_namespace_of(tenant, key[0])}
            made[name] = {**inside, **there}
    return made


# Which claim gets which volume.


def _key(item: Object) -> Key:
    return Key(item["metadata"].get("namespace", ""), item["metadata"]["name"])


def _waits_for_a_pod(claim: Object, world: World) -> bool:
    name = claim["spec"].get("storageClassName")
    found = world.virtual(STORAGE_CLASSES, Key("", name)) if name and world.kind(STORAGE_CLASSES) else None
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"


def _room(item: Object) -> Any:
    spec = item["spec"]
    held = spec.get("capacity") or (spec.get("resources") or {}).get("requests") or {}
    return quantities.parse(str(held.get("storage", "0")))


def suits(volume: Object, claim: Object) -> bool:
    """Tell whether a volume is what a claim asks for."""
    here, wanted = volume["spec"], claim["spec"]
    selector = wanted.get("selector")
    return (
        (here.get("storageClassName") or "") == (wanted.get("storageClassName") or "")
        and here.get("volumeMode", "Filesystem") == wanted.get("volumeMode", "Filesystem")
        and set(wanted.get("accessModes") or ()) <= set(here.get("accessModes") or ())
        and _room(volume) >= _room(claim)
        and (selector is None or labels.matches(selector, ownership.labels_of(volume)))
    )


def _reserved(volume: Object, world: World) -> Key | None:
    """Return for which virtual claim a volume is reserved on the host, None for none that is there."""
    host = world.host(PERSISTENT_VOLUMES, _key(volume))
    reference = {} if host is None else host["spec"].get("claimRef") or {}
    there = world.host_named(PERSISTENT_VOLUME_CLAIMS, reference.get("name") or "")
    return None if there is None else ownership.virtual_key(there, world.tenant, kind=PERSISTENT_VOLUME_CLAIMS.kind)


def _age(item: Object) -> tuple[str, Key]:
    return item["metadata"].get("creationTimestamp") or "", _key(item)


def assigned(world: World) -> dict[Key, str]:
    """Say which claims that name no volume get which of those that users made; the oldest is served first."""
    if not _may_write(world):
        return {}
    free = [
        volume
        for volume in world.virtual_list(PERSISTENT_VOLUMES)
        # Mirrored ones have a claim; asked in this order, most are told apart without reading their notes.
        if not volume["spec"].get("claimRef")
        and not mirror.is_mirrored(volume)
        and not decide.is_terminating(volume)
        and not any(True for _ in _naming(volume, world))
    ]
    if not free or world.kind(PERSISTENT_VOLUME_CLAIMS) is None:
        return {}
    open_claims = {
        _key(claim): claim
        for claim in sorted(world.virtual_list(PERSISTENT_VOLUME_CLAIMS), key=_age)
        if not claim["spec"].get("volumeName") and not decide.is_terminating(claim)
    }
    made: dict[Key, str] = {}
    # What was begun is not changed any more: the host may be about to bind them.
    for volume in sorted(free, key=_age):
        reserved = _reserved(volume, world)
        if reserved in open_claims and reserved not in made:
            made[reserved] = volume["metadata"]["name"]
    for key, claim in open_claims.items():
        left = [each for each in free if each["metadata"]["name"] not in made.values() and suits(each, claim)]
        if key not in made and left and not _waits_for_a_pod(claim, world):
            made[key] = min(left, key=lambda each: (_room(each), each["metadata"]["name"]))["metadata"]["name"]
    return made


def _naming(volume: Object, world: World) -> Iterator[Object]:
    """The claims that name a volume."""
    for resource, key in world.users(PERSISTENT_VOLUMES, _key(volume)):
        claim = world.virtual(PERSISTENT_VOLUME_CLAIMS, key) if resource == PERSISTENT_VOLUME_CLAIMS else None
        if claim is not None and not decide.is_terminating(claim):
            yield claim


def wish_of(key: Key, claim: Object, world: World) -> str:
    """Return the host's name of the volume that a claim is to get, empty where the host is to find or make one."""
    wish: str = claim["spec"].get("volumeName") or assigned(world).get(key, "")
    return name_on_host(world.tenant, PERSISTENT_VOLUMES.kind, "", wish) if is_carried(wish, world) else wish


def _claim_for(volume: Object, world: World) -> Key | None:
    reference = volume["spec"].get("claimRef")
    if reference:
        return Key(reference.get("namespace") or "default", reference["name"])
    if named := sorted(_naming(volume, world), key=_age):
        return _key(named[0])
    return next((key for key, name in assigned(world).items() if name == volume["metadata"]["name"]), None)


def _reservation(volume: Object, world: World) -> dict[str, str]:
    claim = _claim_for(volume, world)
    own = name_on_host(world.tenant, PERSISTENT_VOLUMES.kind, *_key(volume))
    return {
        "apiVersion": PERSISTENT_VOLUME_CLAIMS.api_version,
        "kind": PERSISTENT_VOLUME_CLAIMS.kind,
        "namespace": host_namespace_of(world.tenant, claim.namespace) if claim else world.tenant.host_namespace,
        # A claim of the volume's own name: there is none.
        "name": name_on_host(world.tenant, PERSISTENT_VOLUME_CLAIMS.kind, *claim) if claim else own,
    }


# To the host, and back.


def to_host(key: Key, virtual: Object, world: World) -> dict[str, Any]:
    """Make the host volume of a user's."""
    own = {name: text for name, text in ownership.annotations_of(virtual).items() if name != _BY_CONTROLLER}
    return {
        "apiVersion": "v1",
        "kind": PERSISTENT_VOLUMES.kind,
        "metadata": metadata.to_host(
            key, {**virtual, "metadata": {**virtual["metadata"], "annotations": own}}, world.tenant, PERSISTENT_VOLUMES
        ),
        "spec": {**_told(virtual["spec"], world.tenant), "claimRef": _reservation(virtual, world)},
    }


def _is_let_go(virtual: Object, bound: str) -> bool:
    """Tell whether the user took back the claim reference that stands for the host claim with the uid `bound`."""
    here = virtual["spec"].get("claimRef") or {}
    return not here.get("uid") and ownership.annotations_of(virtual).get(CLAIMED) == bound


def _claim_patch(virtual: Object, host: Object, wanted: Object) -> dict[str, Any]:
    """Return the change of a host volume's claim reference: the binder's is left alone until the user takes it back."""
    there = host["spec"].get("claimRef") or {}
    if there.get("uid") and not _is_let_go(virtual, there["uid"]):
        return {}
    if not there.get("uid") and all(there.get(name) == wanted[name] for name in ("namespace", "name")):
        return {}
    return {"claimRef": {**wanted, **({"uid": None, "resourceVersion": None} if there.get("uid") else {})}}


def _shown_claim(virtual: Object, host: Object, world: World) -> dict[str, Any]:
    """Return the change of a virtual volume that shows whose it has become, empty for none."""
    bound = (host["spec"].get("claimRef") or {}).get("uid")
    key = volume_names.claim_of(host, world) if bound else None
    claim = world.virtual(PERSISTENT_VOLUME_CLAIMS, key) if key is not None else None
    if bound is None or claim is None or _is_let_go(virtual, bound):
        return {}
    wanted = volume_names.referring_to(claim)
    changed = decide.fields_patch(virtual["spec"].get("claimRef") or {}, wanted, tuple(wanted))
    noted = ownership.annotations_of(virtual).get(CLAIMED) == bound
    return {
        **({"spec": {"claimRef": changed}} if changed else {}),
        **({} if noted else {"metadata": {"annotations": {CLAIMED: bound}}}),
    }


def _back(key: Key, virtual: Object, host: Object, world: World) -> Sequence[Action]:
    own = virtual["metadata"]
    if patch := _shown_claim(virtual, host, world):
        version = own.get("resourceVersion", "")
        return (PatchVirtual(PERSISTENT_VOLUMES, key, own["uid"], patch, resource_version=version),)
    before, there = virtual.get("status") or {}, host.get("status") or {}
    wanted = {name: there[name] for name in ("phase", "reason") if name in there}
    if not wanted.get("phase") or not decide.fields_patch(before, wanted, ("phase", "reason")):
        return ()
    kept = {name: value for name, value in before.items() if name not in {"phase", "reason"}}
    return (UpdateVirtualStatus(PERSISTENT_VOLUMES, {**virtual, "status": {**kept, **wanted}}),)


def _is_over(virtual: Object, world: World) -> bool:
    """Tell whether a volume that the host has no more was given up there, with the claim that had it."""
    reference = virtual["spec"].get("claimRef") or {}
    if not reference.get("uid"):
        return False
    claim = world.virtual(PERSISTENT_VOLUME_CLAIMS, Key(reference.get("namespace", ""), reference.get("name", "")))
    return claim is None or claim["metadata"]["uid"] != reference["uid"]


def _refuse(key: Key) -> Sequence[Action]:
    message = (
        f"PersistentVolume {key.name} stays in the virtual cluster, and no claim gets it: volumes that users make are "
        "on the host only with the syncer's switch to_host.persistent_volumes, which needs the right to write them."
    )
    return (Refuse(PERSISTENT_VOLUMES, key, "VolumeNotCarried", message),)


def carry(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry a volume that a user made; `host` is what was made for it."""
    if not _may_write(world):
        return () if virtual is None or decide.is_terminating(virtual) else _refuse(key)
    if virtual is not None and host is None and _is_over(virtual, world):
        return _end(key, virtual)
    if virtual is not None and decide.is_terminating(virtual):
        return _end(key, virtual) if host is None else _gone(host)

    def difference(found: Object, wanted: Object) -> Object:
        spec = decide.fields_patch(found["spec"], wanted["spec"], _KEPT)
        if virtual is not None:
            spec |= _claim_patch(virtual, found, wanted["spec"]["claimRef"])
        return {**metadata.difference(found, wanted), **({"spec": spec} if spec else {})}

    actions = decide.carry(
        PERSISTENT_VOLUMES,
        key,
        virtual,
        host,
        world,
        to_host=lambda wanted: to_host(key, wanted, world),
        difference=difference,
    )
    if virtual is None or host is None or not ownership.carries(host, virtual) or decide.is_terminating(host):
        return actions
    return (*actions, *_back(key, virtual, host, world))


def _gone(host: Object) -> Sequence[Action]:
    return () if decide.is_terminating(host) else (decide.redo(PERSISTENT_VOLUMES, host),)


def _end(key: Key, virtual: Object) -> Sequence[Action]:
    own = virtual["metadata"]
    if not decide.is_terminating(virtual):
        return (DeleteVirtual(PERSISTENT_VOLUMES, key, own["uid"]),)
    return volume_names.unprotected(key, virtual)


def wakes(claim: Object, world: World) -> Iterable[Reference]:
    """Tell which volumes to look at when a virtual claim has changed that may be given one."""
    if _may_write(world):
        for volume in world.virtual_list(PERSISTENT_VOLUMES):
            if not (volume["spec"].get("claimRef") or {}).get("uid") and not mirror.is_mirrored(volume):
                yield PERSISTENT_VOLUMES, _key(volume)

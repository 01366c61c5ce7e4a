"""Volumes that users of the virtual cluster made, on the host.

The host's binder gives a volume that is free to whoever asks for one like it, neighbours included. The one rule: no
volume of a tenant's is ever free on the host. It is reserved for a claim of the tenant's or, until there is one that it
suits, for a claim that nobody makes. Which claim gets which volume is decided by `volume_matching`; that it is bound is
the host's word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    SECRETS,
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
from vcluster_syncer.translate import metadata, mirror, volume_matching, volume_names

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


def _reservation(volume: Object, world: World) -> dict[str, str]:
    claim = volume_matching.claim_for(volume, world)
    own = name_on_host(world.tenant, PERSISTENT_VOLUMES.kind, "", volume["metadata"]["name"])
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
    if not volume_matching.may_write(world):
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

"""Which volume a claim has, in the virtual cluster's words.

A volume that the host made has one name in both worlds; one that a user made has two. The one rule: a claim keeps the
volume it was told of for as long as it lives; where the host had to be given a new claim for it, an annotation there
says which volume it stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vcluster_syncer import ownership
from vcluster_syncer.model import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    Action,
    Key,
    Object,
    PatchVirtual,
    World,
)

PROTECTION: Final = "kubernetes.io/pv-protection"

VOLUME: Final = f"{ownership.PREFIX}volume"
"""Annotation of a host claim: under which name the virtual cluster knows its volume, where that is another."""


def of_claim(host_claim: Object, world: World) -> str:
    """Return the virtual name of the volume that a host claim is bound to; empty while it is bound to none."""
    bound: str = host_claim["spec"].get("volumeName") or ""
    if not bound or VOLUME in ownership.annotations_of(host_claim):
        return ownership.annotations_of(host_claim)[VOLUME] if bound else ""
    kind = world.kind(PERSISTENT_VOLUMES)
    volume = world.host_named(PERSISTENT_VOLUMES, bound) if kind is not None and kind.watch_host else None
    made = None if volume is None else ownership.virtual_key(volume, world.tenant, kind=PERSISTENT_VOLUMES.kind)
    return bound if made is None else made.name


def referring_to(claim: Object) -> dict[str, str]:
    """Return a volume's reference to a virtual claim that has it."""
    own = claim["metadata"]
    return {
        "apiVersion": PERSISTENT_VOLUME_CLAIMS.api_version,
        "kind": PERSISTENT_VOLUME_CLAIMS.kind,
        **{field: own[field] for field in ("namespace", "name", "uid")},
    }


def unprotected(key: Key, virtual: Object) -> Sequence[Action]:
    """Let a virtual volume go: there is nothing to protect, what it stood for is gone."""
    own = virtual["metadata"]
    kept = [name for name in own.get("finalizers") or () if name != PROTECTION]
    if len(kept) == len(own.get("finalizers") or ()):
        return ()
    patch = {"metadata": {"finalizers": kept or None}}
    return (PatchVirtual(PERSISTENT_VOLUMES, key, own["uid"], patch, resource_version=own.get("resourceVersion", "")),)


def claim_of(host_volume: Object, world: World) -> Key | None:
    """Return the key of the virtual claim that a host volume is reserved for or bound to, None for anybody else's."""
    reference = host_volume["spec"].get("claimRef") or {}
    host = world.host_named(PERSISTENT_VOLUME_CLAIMS, reference.get("name") or "")
    if host is None or reference.get("namespace") != host["metadata"]["namespace"]:
        return None
    if reference.get("uid", host["metadata"]["uid"]) != host["metadata"]["uid"]:
        return None
    return ownership.virtual_key(host, world.tenant, kind=PERSISTENT_VOLUME_CLAIMS.kind)

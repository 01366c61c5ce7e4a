"""Which volume a claim has, in the virtual cluster's words.

A volume that the host made has one name in both worlds. The one rule: a claim keeps the volume it was told of for as
long as it lives; where the host had to be given a new claim for it, an annotation there says which volume it stands
for.
"""

from __future__ import annotations

from typing import Final

from vcluster_syncer import ownership
from vcluster_syncer.model import PERSISTENT_VOLUME_CLAIMS, Key, Object, World

VOLUME: Final = f"{ownership.PREFIX}volume"
"""Annotation of a host claim: under which name the virtual cluster knows its volume, where that is another."""


def of_claim(host_claim: Object) -> str:
    """Return the virtual name of the volume that a host claim is bound to; empty while it is bound to none."""
    bound: str = host_claim["spec"].get("volumeName") or ""
    known: str = ownership.annotations_of(host_claim).get(VOLUME, bound)
    return known if bound else ""


def claim_of(host_volume: Object, world: World) -> Key | None:
    """Return the key of the virtual claim that a host volume is reserved for or bound to, None for anybody else's."""
    reference = host_volume["spec"].get("claimRef") or {}
    host = world.host_named(PERSISTENT_VOLUME_CLAIMS, reference.get("name") or "")
    if host is None or reference.get("namespace") != host["metadata"]["namespace"]:
        return None
    if reference.get("uid", host["metadata"]["uid"]) != host["metadata"]["uid"]:
        return None
    return ownership.virtual_key(host, world.tenant, kind=PERSISTENT_VOLUME_CLAIMS.kind)

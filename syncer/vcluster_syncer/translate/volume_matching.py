"""Which claim of a virtual cluster gets which volume that one of its users made.

The one rule: the criteria are those of Kubernetes' own binder, and what was begun is gone on with: the host may be
about to bind the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from vcluster_syncer import decide, ownership, quantities
from vcluster_syncer.model import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    STORAGE_CLASSES,
    Key,
    Object,
    Reference,
    World,
)
from vcluster_syncer.naming import name_on_host
from vcluster_syncer.translate import labels, mirror


def may_write(world: World) -> bool:
    """Tell whether volumes that users make go to the host at all."""
    kind = world.kind(PERSISTENT_VOLUMES)
    return kind is not None and kind.switch is not None and kind.switch.direction == "to_host"


def is_carried(name: str, world: World) -> bool:
    """Tell whether a virtual volume is one that a user made and that goes to the host."""
    virtual = world.virtual(PERSISTENT_VOLUMES, Key("", name)) if name and may_write(world) else None
    return virtual is not None and not mirror.is_mirrored(virtual)


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
    if not may_write(world):
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


def claim_for(volume: Object, world: World) -> Key | None:
    """Return the claim that a user's volume is for, whether or not there is one; None for none yet."""
    reference = volume["spec"].get("claimRef")
    if reference:
        return Key(reference.get("namespace") or "default", reference["name"])
    if named := sorted(_naming(volume, world), key=_age):
        return _key(named[0])
    return next((key for key, name in assigned(world).items() if name == volume["metadata"]["name"]), None)


def wakes(claim: Object, world: World) -> Iterable[Reference]:
    """Tell which volumes to look at when a virtual claim has changed that may be given one."""
    if may_write(world):
        for volume in world.virtual_list(PERSISTENT_VOLUMES):
            if not (volume["spec"].get("claimRef") or {}).get("uid") and not mirror.is_mirrored(volume):
                yield PERSISTENT_VOLUMES, _key(volume)

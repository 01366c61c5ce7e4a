"""What a pod names besides its own parts: a ServiceAccount, a priority class, a runtime class.

Each is on the host only where its kind is turned on. The one rule: a host pod names what is there and belongs to its
tenant or was shown to it; anything else it leaves out, so that it gets what the host gives to everybody.
"""

from __future__ import annotations

from collections.abc import Iterator

from vcluster_syncer.model import PRIORITY_CLASSES, RUNTIME_CLASSES, SERVICE_ACCOUNTS, Key, Object, Resource, World
from vcluster_syncer.translate.mirror import SYSTEMS, is_mirrored
from vcluster_syncer.translate.references import service_account


def _named(pod: Object) -> Iterator[tuple[str, Resource, Key]]:
    yield "serviceAccountName", SERVICE_ACCOUNTS, Key(pod["metadata"]["namespace"], service_account(pod))
    for field, resource in (("priorityClassName", PRIORITY_CLASSES), ("runtimeClassName", RUNTIME_CLASSES)):
        if name := pod["spec"].get(field):
            yield field, resource, Key("", name)


def to_host(pod: Object, world: World) -> dict[str, str]:
    """Return the fields of the host pod's spec that name something."""
    made = {}
    for field, resource, key in _named(pod):
        host = world.host(resource, key) if world.kind(resource) is not None else None
        virtual = world.virtual(resource, key) if host is not None else None
        # A class that a user made himself under the name of one of the host's is not the one he means.
        if host is not None and virtual is not None and (_is_carried(resource, world) or is_mirrored(virtual)):
            made[field] = host["metadata"]["name"]
    return made


def is_complete(pod: Object, world: World) -> bool:
    """Tell whether all that is to be carried to the host for a pod is there; what comes last looks at the pod again."""
    return all(
        key.name.startswith(SYSTEMS) or world.virtual(resource, key) is None or world.host(resource, key) is not None
        for _, resource, key in _named(pod)
        if _is_carried(resource, world)
    )


def _is_carried(resource: Resource, world: World) -> bool:
    kind = world.kind(resource)
    return kind is not None and kind.switch is not None and kind.switch.direction == "to_host"

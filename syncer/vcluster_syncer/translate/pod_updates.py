"""What may still change about a pod that is on the host already.

Labels and annotations any time; of the spec only what the API allows, and only when the virtual pod's generation
says that it changed. The one rule: what the host put into its pod (sidecars, gates, tolerations, resources) is left
alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from vcluster_syncer import ownership
from vcluster_syncer.model import PODS, Action, Key, Object, PatchHost, World
from vcluster_syncer.translate import metadata, pod_carried, pod_scheduling, pod_spec
from vcluster_syncer.translate.pod_carried import WHOLE_POD, Changed

_CONTAINERS: Final = ("containers", "initContainers")


def _images(virtual: Object, host: Object, changed: Changed) -> Iterator[tuple[str, list[Object]]]:
    for field in _CONTAINERS:
        wanted = {
            container["name"]: container.get("image")
            for container in virtual["spec"].get(field) or ()
            if container["name"] in changed.images
        }
        there = host["spec"].get(field) or ()
        made: list[Object] = [{**one, "image": wanted.get(one["name"], one.get("image"))} for one in there]
        if any(new["image"] != old.get("image") for new, old in zip(made, there, strict=True)):
            yield field, made


def _tolerations(virtual: Object, host: Object) -> list[Object] | None:
    def identity(toleration: Object) -> tuple[Any, ...]:
        return tuple(toleration.get(name) for name in ("key", "operator", "value", "effect"))

    wanted = {identity(toleration): toleration for toleration in virtual["spec"].get("tolerations") or ()}
    there = {identity(toleration): toleration for toleration in host["spec"].get("tolerations") or ()}
    made = {**there, **wanted}
    return None if made == there else list(made.values())


def _gates(virtual: Object, host: Object) -> list[Object] | None:
    try:
        ours = set(json.loads(ownership.annotations_of(host).get(pod_spec.GATES, "[]")))
    except (ValueError, TypeError):
        ours = set()
    kept = {gate["name"] for gate in virtual["spec"].get("schedulingGates") or ()}
    there = host["spec"].get("schedulingGates") or []
    made = [gate for gate in there if gate["name"] not in ours or gate["name"] in kept]
    return None if len(made) == len(there) else made


def _spec(virtual: Object, host: Object, world: World, changed: Changed) -> dict[str, Any]:
    patch: dict[str, Any] = dict(_images(virtual, host, changed))
    deadline = virtual["spec"].get("activeDeadlineSeconds")
    if deadline is not None and deadline != host["spec"].get("activeDeadlineSeconds"):
        patch["activeDeadlineSeconds"] = deadline
    if (tolerations := _tolerations(virtual, host)) is not None:
        patch["tolerations"] = tolerations
    if host["spec"].get("schedulingGates"):
        if (gates := _gates(virtual, host)) is not None:
            patch["schedulingGates"] = gates or None
        # Only a pod that waits at a gate may be told anew where it may run.
        wanted = pod_scheduling.to_host(virtual, world)
        for field in ("affinity", "nodeSelector"):
            if wanted[field] and wanted[field] != host["spec"].get(field):
                patch[field] = wanted[field]
    return patch


def _patch(host: Object, patch: Object, *, subresource: str = "", is_guarded: bool = True) -> PatchHost:
    own = host["metadata"]
    version = own.get("resourceVersion", "") if is_guarded else ""
    return PatchHost(PODS, own["name"], own["uid"], patch, subresource=subresource, resource_version=version)


def _ephemeral(virtual: Object, host: Object, world: World) -> Iterator[PatchHost]:
    there = host["spec"].get("ephemeralContainers") or []
    known = {container["name"] for container in there}
    made = pod_spec.containers_to_host(virtual, "ephemeralContainers", world)
    if new := [container for container in made if container["name"] not in known]:
        yield _patch(host, {"spec": {"ephemeralContainers": [*there, *new]}}, subresource="ephemeralcontainers")


def _over(there: Object | None, wanted: Object | None) -> dict[str, Any]:
    """Return the host's resources with the user's over them: what the host's limit ranges added can't be taken off."""
    made = {**(there or {}), **(wanted or {})}
    for field in ("limits", "requests"):
        if field in made:
            made[field] = {**((there or {}).get(field) or {}), **((wanted or {}).get(field) or {})}
    return made


def _resized(virtual: Object, host: Object, changed: Changed) -> Iterator[PatchHost]:
    patch: dict[str, Any] = {}
    for field in _CONTAINERS:
        wanted = {
            container["name"]: container.get("resources")
            for container in virtual["spec"].get(field) or ()
            # Of the init containers those that go on running.
            if container["name"] in changed.resources
            and (field == "containers" or container.get("restartPolicy") == "Always")
        }
        there = host["spec"].get(field) or ()
        made = [
            {**one, "resources": _over(one.get("resources"), wanted[one["name"]])} if one["name"] in wanted else one
            for one in there
        ]
        if any(
            (new.get("resources") or {}) != (old.get("resources") or {}) for new, old in zip(made, there, strict=True)
        ):
            patch[field] = made
    if WHOLE_POD in changed.resources and virtual["spec"].get("resources"):
        whole = _over(host["spec"].get("resources"), virtual["spec"]["resources"])
        if whole != host["spec"].get("resources"):
            patch["resources"] = whole
    if patch:
        # Unguarded, so that the patch of the rest, which follows, is not refused for being late.
        yield _patch(host, {"spec": patch}, subresource="resize", is_guarded=False)


def to_host(key: Key, virtual: Object, host: Object, world: World) -> Sequence[Action]:
    """Bring a host pod up to its virtual pod, as far as the API allows."""
    patch = metadata.difference(host, {"metadata": pod_spec.metadata_to_host(key, virtual, world)})
    if ownership.annotations_of(host).get(pod_spec.GENERATION) == pod_spec.notes(virtual)[pod_spec.GENERATION]:
        return (_patch(host, patch, is_guarded=False),) if patch else ()
    if added := list(_ephemeral(virtual, host, world)):
        return added
    changed = pod_carried.changed(virtual, host)
    spec, resized = _spec(virtual, host, world, changed), list(_resized(virtual, host, changed))
    if spec and resized:
        # One at a time: the list of containers in one would undo the other.
        return resized
    if spec:
        patch = {**patch, "spec": spec}
    return [*resized, _patch(host, patch, is_guarded=bool(spec))]

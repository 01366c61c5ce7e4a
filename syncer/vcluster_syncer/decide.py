"""The decisions that are the same for every kind the virtual side owns.

Create, change, delete or leave alone; and what a change is, as a JSON merge patch. The one rule: a host object that
is not ours is never touched, the user is told instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vcluster_syncer import ownership
from vcluster_syncer.model import (
    Action,
    CreateHost,
    DeleteHost,
    Key,
    Object,
    PatchHost,
    Refuse,
    Resource,
    World,
)


def is_terminating(item: Object) -> bool:
    """Tell whether an object's deletion has begun."""
    return bool(item["metadata"].get("deletionTimestamp"))


def _is_absent(value: object) -> bool:
    # The API server drops what is empty, so empty and missing are the same wish.
    return value is None or (isinstance(value, Mapping | list | tuple) and not value)


def replacing(current: Object, wanted: Object) -> dict[str, Any]:
    """Return the merge patch that turns mapping `current` into exactly `wanted`; empty when it is that already."""
    patch: dict[str, Any] = {}
    for name in {**current, **wanted}:
        before, after = current.get(name), wanted.get(name)
        if before == after or (_is_absent(before) and _is_absent(after)):
            continue
        if _is_absent(after):
            patch[name] = None
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            # They may differ in what is empty only, at any depth.
            if inside := replacing(before, after):
                patch[name] = inside
        else:
            patch[name] = after
    return patch


def fields_patch(current: Object, wanted: Object, fields: Sequence[str]) -> dict[str, Any]:
    """Return the merge patch for `fields` only; the other keys of `current` belong to somebody else."""
    return replacing(
        {name: current[name] for name in fields if name in current},
        {name: wanted[name] for name in fields if name in wanted},
    )


def refuse_foreign(resource: Resource, key: Key, name: str) -> Refuse:
    """Tell the user that an object which is not ours has the name his object would get on the host."""
    return Refuse(
        resource,
        key,
        "NameTaken",
        f"{resource.kind} {key.namespace}/{key.name} is not on the host: an object the syncer did not make already "
        f"has the name it would get there. It is left untouched; delete it on the host, or rename yours.",
    )


def redo(resource: Resource, host: Object, *, grace_seconds: int | None = None) -> DeleteHost:
    """Delete a host object; should one still be wanted, its disappearance brings the key back."""
    metadata = host["metadata"]
    return DeleteHost(resource, metadata["name"], metadata["uid"], grace_seconds)


def carry(
    resource: Resource,
    key: Key,
    virtual: Object | None,
    host: Object | None,
    world: World,
    *,
    to_host: Callable[[Object], Object],
    difference: Callable[[Object, Object], Object],
) -> Sequence[Action]:
    """Bring the host in line with `virtual`, None meaning that nothing is wanted there.

    `to_host` makes the host object, `difference(host, wanted)` the merge patch between them, empty for none.
    """
    if virtual is None:
        return () if host is None or is_terminating(host) else (redo(resource, host),)
    if host is not None:
        if is_terminating(host):
            return ()
        if not ownership.carries(host, virtual):
            return (redo(resource, host),)
        patch = difference(host, to_host(virtual))
        metadata = host["metadata"]
        return (PatchHost(resource, metadata["name"], metadata["uid"], patch),) if patch else ()
    wanted = to_host(virtual)
    if world.host_named(resource, wanted["metadata"]["name"]) is not None:
        return (refuse_foreign(resource, key, wanted["metadata"]["name"]),)
    return (CreateHost(resource, wanted),)

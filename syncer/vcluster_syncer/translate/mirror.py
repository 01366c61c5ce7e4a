"""Objects of the host as the virtual cluster sees them: classes, which its users name and do not own.

The one rule: only what was mirrored is kept in line, and an annotation with the object's own name says so. An object
that a user made under the same name, or copied from a mirrored one under another, is his.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    Action,
    CreateVirtual,
    DeleteVirtual,
    Key,
    Object,
    PatchVirtual,
    Resource,
    Tenant,
)
from vcluster_syncer.translate import metadata

MIRRORED: Final = f"{ownership.PREFIX}mirrored"
"""Annotation: JSON, the object's name and which of its labels and annotations came from the host."""

SYSTEMS: Final = "system-"
"""What the names of classes begin with that every cluster has; no user can make such a class."""


def key_of(host: Object, _tenant: Tenant) -> Key | None:
    """Return the virtual key of a cluster-scoped host object, None when it was carried there for some tenant."""
    return None if ownership.TENANT_LABEL in ownership.labels_of(host) else Key("", host["metadata"]["name"])


def is_mirrored(virtual: Object) -> bool:
    """Tell whether a virtual object is one of the host's."""
    return bool(metadata.carried(virtual, MIRRORED).get("name") == virtual["metadata"]["name"])


def to_virtual(resource: Resource, key: Key, host: Object, *, fields: Sequence[str]) -> dict[str, Any]:
    """Make the virtual object of a host object, with `fields` of it."""
    annotations = metadata.user_annotations(host)
    labels = {name: value for name, value in ownership.labels_of(host).items() if not name.startswith(ownership.PREFIX)}
    mirrored = {"name": key.name, "annotations": sorted(annotations), "labels": sorted(labels)}
    annotations[MIRRORED] = json.dumps(mirrored, separators=(",", ":"))
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": key.name,
            **({"namespace": key.namespace} if resource.namespaced else {}),
            "labels": labels,
            "annotations": annotations,
        },
        **{name: host[name] for name in fields if name in host},
    }


def follow(
    resource: Resource,
    key: Key,
    virtual: Object | None,
    host: Object | None,
    *,
    fields: Sequence[str],
    fixed: Callable[[Object], object],
) -> Sequence[Action]:
    """Bring the virtual object in line with `host`; what `fixed` returns of an object can't be changed in place."""
    if virtual is None:
        if host is None or decide.is_terminating(host):
            return ()
        return (CreateVirtual(resource, to_virtual(resource, key, host, fields=fields)),)
    if not is_mirrored(virtual) or decide.is_terminating(virtual):
        return ()
    uid = virtual["metadata"]["uid"]
    if host is None or fixed(host) != fixed(virtual):
        return (DeleteVirtual(resource, key, uid),)
    wanted = to_virtual(resource, key, host, fields=fields)
    patch = {**metadata.difference(virtual, wanted, MIRRORED), **decide.fields_patch(virtual, wanted, fields)}
    return (PatchVirtual(resource, key, uid, patch),) if patch else ()

"""Name, labels and annotations of a host object, made from its virtual one and kept in step.

The one rule: what somebody adds on the host stays. An annotation lists the keys that came from the virtual side, so
that a label the user removes is removed, and one a host controller set is not.
"""

from __future__ import annotations

import json
from typing import Any, Final

from vcluster_syncer import ownership
from vcluster_syncer.model import Key, Object, Resource, Tenant
from vcluster_syncer.naming import host_namespace_of, name_on_host
from vcluster_syncer.translate import host_metadata, labels

CARRIED: Final = f"{ownership.PREFIX}carried"
# As large as the object itself, and about a client that never talks to the host.
_LEFT_BEHIND: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})


def user_annotations(virtual: Object) -> dict[str, str]:
    """Return the annotations of a virtual object that its host object gets."""
    left = _LEFT_BEHIND | host_metadata.came_from_host(virtual, "annotations")
    return {
        key: value
        for key, value in ownership.annotations_of(virtual).items()
        if key not in left and not key.startswith(ownership.PREFIX)
    }


def _user_labels(virtual: Object) -> dict[str, str]:
    from_host = host_metadata.came_from_host(virtual, "labels")
    return {key: value for key, value in ownership.labels_of(virtual).items() if key not in from_host}


def to_host(
    key: Key,
    virtual: Object,
    tenant: Tenant,
    resource: Resource,
    *,
    notes: Object | None = None,
    marks: Object | None = None,
    role: str = "",
) -> dict[str, Any]:
    """Make the metadata of the host object of `virtual`; `notes` and `marks` are the kind's own annotations, labels."""
    user_labels, annotations = labels.to_host(_user_labels(virtual)), user_annotations(virtual)
    our_labels, our_annotations = ownership.marks(key, virtual, tenant, kind=resource.kind)
    user_labels.update(marks or {})
    came = {"annotations": sorted([*annotations, *(notes or {})]), "labels": sorted(user_labels)}
    return {
        "name": name_on_host(tenant, resource.kind, *key, role=role),
        **({"namespace": host_namespace_of(tenant, key.namespace)} if resource.namespaced else {}),
        "labels": {**user_labels, **our_labels},
        "annotations": {
            **annotations,
            **(notes or {}),
            **our_annotations,
            CARRIED: json.dumps(came, separators=(",", ":")),
        },
    }


def carried(copy: Object, note: str = CARRIED) -> Object:
    """Return what the annotation `note` of a copy remembers of its original."""
    try:
        found = json.loads(ownership.annotations_of(copy).get(note, "{}"))
    except ValueError:
        # Somebody edited it: forget what we once set, and write it anew.
        return {}
    return found if isinstance(found, dict) else {}


def difference(copy: Object, wanted: Object, note: str = CARRIED) -> dict[str, Any]:
    """Return the merge patch of `metadata` that brings labels and annotations up to `wanted`; empty for none."""
    patch: dict[str, Any] = {}
    remembered = carried(copy, note)
    for field in ("labels", "annotations"):
        current = copy["metadata"].get(field) or {}
        target = wanted["metadata"][field]
        changed: dict[str, str | None] = {key: value for key, value in target.items() if current.get(key) != value}
        changed.update((key, None) for key in remembered.get(field, ()) if key in current and key not in target)
        if changed:
            patch[field] = changed
    return {"metadata": patch} if patch else {}

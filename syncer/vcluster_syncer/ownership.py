"""Whose a host object is, and what it is in the virtual cluster.

Every host object the syncer makes says so itself: a label with its tenant, for selectors, and annotations with its
virtual kind, namespace, name and uid. The one rule: an object is ours only when all of them and its name agree.
Host controllers copy labels and annotations to objects of their own, and a copy must not pass for the original.
"""

from __future__ import annotations

from typing import Final

from vcluster_syncer.model import SERVICES, Key, Object, Tenant
from vcluster_syncer.naming import name_on_host

PREFIX: Final = "vcluster-syncer/"
TENANT_LABEL: Final = f"{PREFIX}tenant"
NAMESPACE_LABEL: Final = f"{PREFIX}namespace"
EPOCH_LABEL: Final = f"{PREFIX}epoch"
"""The epoch that an object is named after; there is none on those of the first."""
NAME: Final = f"{PREFIX}name"
NAMESPACE: Final = f"{PREFIX}namespace"
UID: Final = f"{PREFIX}uid"
KIND: Final = f"{PREFIX}kind"
EXPORTED: Final = f"{PREFIX}exported"
"""Annotation of a host object that has not the name we would give it: the virtual namespace and name it stands for."""
CANARY: Final = f"{PREFIX}canary"
"""Label of a virtual object that is made to see whether the API server has caught up: it is not carried."""
STAYS: Final = f"{PREFIX}stays"
"""Label of a virtual object that the syncer makes for the virtual API server alone: it is not carried."""

TOKENS_ROLE: Final = "tokens"
"""Role of the Secret a pod's ServiceAccount tokens are kept in."""
ROLES: Final = ("", TOKENS_ROLE)
"""Of the objects that one virtual object may have on the host."""


def annotations_of(item: Object) -> Object:
    """Return an object's annotations, empty when it has none."""
    found: Object = item["metadata"].get("annotations") or {}
    return found


def labels_of(item: Object) -> Object:
    """Return an object's labels, empty when it has none."""
    found: Object = item["metadata"].get("labels") or {}
    return found


def marks(key: Key, virtual: Object, tenant: Tenant, *, kind: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the labels and annotations by which the host object of `virtual` is known as such."""
    labels = {TENANT_LABEL: tenant.name, NAMESPACE_LABEL: key.namespace}
    if epoch := tenant.epoch_of(kind, *key):
        labels[EPOCH_LABEL] = str(epoch)
    annotations = {KIND: kind, NAME: key.name, NAMESPACE: key.namespace, UID: virtual["metadata"]["uid"]}
    return labels, annotations


def owned(made: Object, tenant: Tenant, *, namespace: str) -> Object:
    """Return a host object that is to be made in `namespace` with the tenant's owner as its own.

    An owner in another namespace is none: the garbage collector would delete the object at once.
    """
    owner = tenant.owner
    if owner is None or owner.namespace != namespace:
        return made
    reference = {"apiVersion": SERVICES.api_version, "kind": SERVICES.kind, "name": owner.name, "uid": owner.uid}
    references = [*(made["metadata"].get("ownerReferences") or ()), reference]
    return {**made, "metadata": {**made["metadata"], "ownerReferences": references}}


def virtual_key(host: Object, tenant: Tenant, *, kind: str) -> Key | None:
    """Return the key of `kind` that a host object belongs to, None when it is not this tenant's or of another kind."""
    annotations = annotations_of(host)
    if labels_of(host).get(TENANT_LABEL) != tenant.name or annotations.get(KIND) != kind or NAME not in annotations:
        return None
    key = Key(annotations.get(NAMESPACE, ""), annotations[NAME])
    name = host["metadata"]["name"]
    if all(name != name_on_host(tenant, kind, *key, role=role) for role in ROLES):
        return None
    return key


def exported_of(host: Object, tenant: Tenant) -> Key | None:
    """Return which virtual object of the tenant's a host object stands for under a name that others know."""
    origin = annotations_of(host).get(EXPORTED)
    if origin is None or labels_of(host).get(TENANT_LABEL) != tenant.name:
        return None
    namespace, _, name = origin.partition("/")
    return Key(namespace, name)


def carries(host: Object, virtual: Object) -> bool:
    """Tell whether a host object was made for this very virtual object, not for a namesake that was deleted since."""
    return bool(annotations_of(host).get(UID) == virtual["metadata"]["uid"])

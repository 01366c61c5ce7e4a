"""What an object of a virtual cluster is called on the host.

A host name is a readable prefix, a dash and a hash of (lineage, namespace, name[, role]), where the lineage is the
tenant and, from its first recycling on, an epoch of it. The one rule: the way back is never by parsing a name, only by
the annotations of `ownership`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import NewType

from vcluster_syncer.model import NAMESPACES, Tenant

HostName = NewType("HostName", str)
"""A name on the host: at most 63 characters, starts with a letter, legal as DNS-1035 label and thus for every kind."""

_LONGEST = 63
_HASH_LENGTH = 16
_HASH_BYTES = _HASH_LENGTH * 5 // 8
_NOT_IN_A_LABEL = re.compile(r"[^a-z0-9]+")
# No Kubernetes name may contain it, so joined tuples are as different as the tuples.
_JOINT = "+"


def digest(*parts: str) -> str:
    """Return 80 bits of a hash of `parts`, as letters and digits that are legal in every name."""
    hashed = hashlib.sha256(_JOINT.join(parts).encode()).digest()
    # Encoding what is cut off anyway would take most of the time, and every host object's name is checked.
    return base64.b32encode(hashed[:_HASH_BYTES]).decode().lower()


def host_name(lineage: str, namespace: str, name: str, *, role: str = "") -> HostName:
    """Name the host object of a virtual one; `role` sets apart a companion, such as a pod's Secret of tokens."""
    # No role, no fourth part: four parts never join to what three parts do.
    parts = (lineage, namespace, name, role) if role else (lineage, namespace, name)
    return HostName(f"{_prefix(name)}-{digest(*parts)}")


def lineage_of(tenant: Tenant, epoch: int) -> str:
    """Return what stands for a tenant in the names of one epoch; none of the first, so names stay what they were."""
    # No tenant's name contains it, being the value of a label.
    return f"{tenant.name}@{epoch}" if epoch else tenant.name


def name_on_host(tenant: Tenant, kind: str, namespace: str, name: str, *, role: str = "") -> HostName:
    """Name the host object of a virtual one of a kind, whether or not there is one."""
    lineage = lineage_of(tenant, tenant.epoch_of(kind, namespace, name))
    return host_name(lineage, namespace, name, role=role)


def host_namespace_of(tenant: Tenant, namespace: str) -> str:
    """Name the host namespace of what is in a virtual one."""
    return host_namespace_at(tenant, tenant.epoch_of(NAMESPACES.kind, "", namespace), namespace)


def host_namespace_at(tenant: Tenant, epoch: int, namespace: str) -> str:
    """Name the host namespace that a virtual one had in an epoch."""
    if not tenant.each_namespace:
        return tenant.host_namespace
    readable = tenant.namespace_pattern.replace("{tenant}", tenant.name).replace("{namespace}", namespace)
    return f"{_prefix(readable)}-{digest(lineage_of(tenant, epoch), namespace)}"


def _prefix(name: str) -> str:
    prefix = _NOT_IN_A_LABEL.sub("-", name.lower())[: _LONGEST - _HASH_LENGTH - 1].strip("-")
    if not prefix[:1].isalpha():
        prefix = f"x{prefix}"[: _LONGEST - _HASH_LENGTH - 1].rstrip("-")
    return prefix

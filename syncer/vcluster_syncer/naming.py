"""What an object of a virtual cluster is called on the host.

A host name is a readable prefix, a dash and a hash of (tenant, namespace, name[, role]). The one rule: the way back
is never by parsing a name, only by the annotations of `ownership`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import NewType

from vcluster_syncer.model import Tenant

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


def host_name(tenant: str, namespace: str, name: str, *, role: str = "") -> HostName:
    """Name the host object of a virtual one; `role` sets apart a companion, such as a pod's Secret of tokens."""
    # No role, no fourth part: four parts never join to what three parts do.
    parts = (tenant, namespace, name, role) if role else (tenant, namespace, name)
    return HostName(f"{_prefix(name)}-{digest(*parts)}")


def host_namespace_of(tenant: Tenant, namespace: str) -> str:
    """Name the host namespace of what is in a virtual one."""
    if not tenant.each_namespace:
        return tenant.host_namespace
    readable = tenant.namespace_pattern.replace("{tenant}", tenant.name).replace("{namespace}", namespace)
    return f"{_prefix(readable)}-{digest(tenant.name, namespace)}"


def _prefix(name: str) -> str:
    prefix = _NOT_IN_A_LABEL.sub("-", name.lower())[: _LONGEST - _HASH_LENGTH - 1].strip("-")
    if not prefix[:1].isalpha():
        prefix = f"x{prefix}"[: _LONGEST - _HASH_LENGTH - 1].rstrip("-")
    return prefix

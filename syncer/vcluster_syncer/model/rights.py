"""What turns a kind on, and what it may do on the host then.

The one rule: a right is in the terms of RBAC, so that a chart can grant it word by word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vcluster_syncer.model.resources import Resource


@dataclass(frozen=True, slots=True)
class Switch:
    """A field `sync.{direction}.{name}` of the configuration, by which a kind is turned on and off."""

    direction: Literal["to_host", "from_host"]
    name: str
    on: bool = False
    """What holds where the configuration does not say."""

    @property
    def path(self) -> str:
        """Where the configuration has it, below `sync`."""
        return f"{self.direction}.{self.name}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A right on the host that a kind can't do without, in RBAC's terms."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    cluster_scoped: bool = False
    """The objects are in no namespace, so only a ClusterRole can grant it."""

    @classmethod
    def to_read(cls, resource: Resource) -> Rule:
        """What it takes to follow a host collection."""
        return cls(resource.group, (resource.plural,), ("list", "watch"), not resource.namespaced)

    @classmethod
    def to_carry(cls, resource: Resource) -> Rule:
        """What it takes to keep objects of our own in a host collection."""
        verbs = ("create", "delete", "get", "list", "patch", "watch")
        return cls(resource.group, (resource.plural,), verbs, not resource.namespaced)

    @classmethod
    def to_patch(cls, resource: Resource, *subresources: str) -> Rule:
        """What it takes to write subresources."""
        names = tuple(f"{resource.plural}/{each}" for each in subresources)
        return cls(resource.group, names, ("patch",), not resource.namespaced)

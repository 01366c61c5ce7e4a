"""What a kind may have the engine do.

The engine executes actions in order and stops at the first that fails. What the API server answers it knows at once, so
the next reconcile of the key sees it. "Gone" where the action wanted it gone is success; a conflict or a failed
precondition means that memory was stale: a quiet requeue. The one rule: an action is plain data, and whoever carries it
out needs nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from vcluster_syncer.model.resources import Key, Object, Resource
from vcluster_syncer.model.tokens import TokenRequest


@dataclass(frozen=True, slots=True)
class CreateHost:
    """POST to the object's host namespace. AlreadyExists is a conflict: the next look tells whose object it is."""

    resource: Resource
    object: Object


@dataclass(frozen=True, slots=True)
class PatchHost:
    """JSON merge patch of a host object; the engine adds `metadata.uid` (and `resourceVersion` when given) to it.

    Not an apply: it never creates, so an object that is not ours can't be taken over by it.
    """

    resource: Resource
    name: str
    uid: str
    patch: Object
    subresource: str = ""
    resource_version: str = ""
    """Given where the patch was computed from a list the host side may change, too."""


@dataclass(frozen=True, slots=True)
class DeleteHost:
    """DELETE with a uid precondition; None as grace leaves the API server's default."""

    resource: Resource
    name: str
    uid: str
    grace_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class CreateVirtual:
    """POST to the virtual cluster, into the object's own namespace."""

    resource: Resource
    object: Object


@dataclass(frozen=True, slots=True)
class PatchVirtual:
    """JSON merge patch of a virtual object, like `PatchHost`."""

    resource: Resource
    key: Key
    uid: str
    patch: Object
    subresource: str = ""
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class UpdateVirtualStatus:
    """PUT to the status subresource; the object carries the resourceVersion it was computed from."""

    resource: Resource
    object: Object


@dataclass(frozen=True, slots=True)
class DeleteVirtual:
    """DELETE with a uid precondition; None as grace leaves the API server's default."""

    resource: Resource
    key: Key
    uid: str
    grace_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Bind:
    """POST a Binding of a virtual pod to a *virtual* node."""

    key: Key
    uid: str
    node: str


@dataclass(frozen=True, slots=True)
class RequestToken:
    """Mint a token on the virtual API server, remember it for `World.token`, look at this key again."""

    request: TokenRequest


@dataclass(frozen=True, slots=True)
class Later:
    """Look at this key again after so many seconds: not a failure, no backoff."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Tell the user by a Warning event on the virtual object; no retry until something about the key changes."""

    resource: Resource
    key: Key
    reason: str
    """One CamelCase word."""
    message: str


HostAction: TypeAlias = CreateHost | PatchHost | DeleteHost
VirtualAction: TypeAlias = CreateVirtual | PatchVirtual | UpdateVirtualStatus | DeleteVirtual | Bind
Action: TypeAlias = HostAction | VirtualAction | RequestToken | Later | Refuse

"""What the engine knows of a kind of object, and what a kind may look at.

The one rule: a kind is a row of pure functions; it decides by what it is shown and is told nothing of what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vcluster_syncer.model.actions import Action
from vcluster_syncer.model.resources import Key, Object, Reference, Resource
from vcluster_syncer.model.rights import Rule, Switch
from vcluster_syncer.model.tenants import Tenant
from vcluster_syncer.model.tokens import Token, TokenRequest


class World(Protocol):
    """What a kind may look at besides its own two objects: the engine's memory of one tenant, never a request."""

    @property
    def tenant(self) -> Tenant:
        """The virtual cluster this is about."""

    @property
    def now(self) -> float:
        """Seconds since the epoch."""

    def kind(self, resource: Resource) -> Kind | None:
        """Return the row by which objects of a resource are carried, None where its switch is off.

        Ask before looking at a resource that has a switch: of what is not carried nothing is known.
        """

    def virtual(self, resource: Resource, key: Key) -> Object | None:
        """Return a virtual object of a watched kind."""

    def virtual_list(self, resource: Resource, namespace: str | None = None) -> Iterable[Object]:
        """Return the virtual objects of a watched kind, of one namespace or of all."""

    def host(self, resource: Resource, key: Key, *, owner: Resource | None = None) -> Object | None:
        """Return the host object that belongs to a *virtual* key, as `Kind.host_key` tells.

        `owner` names the kind the key is of, where it is not the object's own: `host(SECRETS, key, owner=PODS)` is the
        Secret the pod kind keeps as a companion of the pod `key`.
        """

    def host_named(self, resource: Resource, name: str) -> Object | None:
        """Return the object of that *host* name in what the tenant has on the host, ours or not."""

    def imported(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return an object of a *host* namespace that one of the tenant's imports names."""

    def imported_list(self, resource: Resource, namespace: str) -> Iterable[Object]:
        """Return all objects of a *host* namespace that one of the tenant's imports has to know of."""

    def users(self, resource: Resource, key: Key) -> Iterable[Reference]:
        """Return the virtual objects whose `Kind.references` name this one, whether or not this one exists."""

    def token(self, request: TokenRequest) -> Token | None:
        """Return what a `RequestToken` of exactly this request has brought, while the engine remembers it."""


def no_references(_virtual: Object) -> frozenset[Reference]:
    """Say that objects of a kind use no others."""
    return frozenset()


def wakes_nobody(_object: Object, _world: World) -> Iterable[Reference]:
    """Say that a change of an object of a kind concerns no other key."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """All the engine knows about a kind of object."""

    resource: Resource
    reconcile: Callable[[Key, Object | None, Object | None, World], Sequence[Action]]
    """`(key, virtual, host, world) -> actions`; pure, level-based; no actions: both sides are as they should be."""
    host_key: Callable[[Object, Tenant], Key | None]
    """Which key of this tenant a *host* object belongs to; None: none, leave it alone.

    Asked for host objects of `resource` and of `companions`, of the tenant's host namespace and cluster-scoped ones. It
    fills what `World.host` answers from. (For events the key is the host's own, with an empty namespace: which virtual
    object an event is about is known only after a look at the world.)
    """
    references: Callable[[Object], frozenset[Reference]] = no_references
    """Which other virtual objects a virtual object uses, existing or not. Feeds `World.users`; whatever enters or
    leaves the set is requeued under its own kind."""
    wakes: Callable[[Object, World], Iterable[Reference]] = wakes_nobody
    """Which other keys to look at again when this virtual or host object was added, changed or removed."""
    companions: tuple[Resource, ...] = ()
    """Further host resources of which this kind keeps objects; a change of one requeues the key `host_key` gives."""
    watch_virtual: bool = True
    watch_host: bool = True
    can_wait: bool = False
    """Its keys stand back behind those of other kinds when there is much to do."""
    one_namespace: bool = False
    """It can tell what is the tenant's only where that is in one host namespace."""
    optional: bool = False
    """Its resource is a definition's, which either side may have or not, and may get or lose at any time."""
    switch: Switch | None = None
    """What turns it on in the configuration; None: it is always on, because pods can't do without it."""
    host_rules: tuple[Rule, ...] = ()
    """Which rights on the host it needs while it is on."""

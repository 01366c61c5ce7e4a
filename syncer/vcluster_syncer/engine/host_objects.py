"""One tenant's share of one host collection, found by virtual key.

The one rule: `Kind.host_key` is the only way from a host object to a key. What it disowns is remembered by its host
name at most, so that a kind can see that a name is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from vcluster_syncer import epochs, ownership
from vcluster_syncer.engine.guard import guarded
from vcluster_syncer.engine.store import Store, intake, key_of, uid_of
from vcluster_syncer.model import Key, Kind, Object, Reference, Resource, Tenant

Concerned = Callable[[Resource, Object, Iterable[Reference]], None]
"""Called with the resource, the object that came, changed or went, and the keys it belonged or belongs to."""
Left = Callable[[Resource, Key], None]
"""Called with where an object is, on the host, that an epoch left over which has ended."""


class HostObjects:
    """The objects of `resource` that concern one tenant; `owners` are the kinds that keep objects of it."""

    def __init__(
        self,
        resource: Resource,
        owners: tuple[Kind, ...],
        tenant: Tenant,
        concerned: Concerned,
        appeared: Callable[[], None] | None = None,
        *,
        left: Left | None = None,
    ) -> None:
        self.resource = resource
        self._owners = owners
        self._tenant = tenant
        self._concerned = concerned
        self._left = left
        self._store = Store(resource, self._changed, appeared)
        self._by_key: dict[Resource, dict[Key, Object]] = {owner.resource: {} for owner in owners}
        # Telling a key takes a hash or two, so what was told of an object is kept until it changes.
        self._keys: dict[Key, dict[Resource, Key]] = {}
        self.left_over: dict[Key, Object] = {}
        """What earlier epochs left over, by place on the host: it belongs to no key."""

    @property
    def owners(self) -> Iterable[Resource]:
        """The kinds that keep objects here."""
        return self._by_key

    @property
    def is_served(self) -> bool:
        """Whether the host has such a collection."""
        return self._store.is_served

    def __len__(self) -> int:
        return len(self._store)

    def of(self, owner: Resource, key: Key) -> Object | None:
        """The object that the kind `owner` keeps for a virtual key."""
        index = self._by_key.get(owner)
        if index is None:
            raise LookupError(f"the kind {owner.plural} keeps no {self.resource.plural} on the host")
        return index.get(key)

    def keys(self, owner: Resource) -> tuple[Key, ...]:
        """All virtual keys for which the kind `owner` keeps an object."""
        return tuple(self._by_key[owner])

    def named(self, name: str) -> Object | None:
        """The object of that host name, ours or not."""
        return self._store.named(name)

    def is_ours(self, name: str) -> bool:
        """Whether the cluster-scoped object of that host name belongs to the tenant, or did in an earlier epoch."""
        return bool(self._keys.get(Key("", name))) or Key("", name) in self.left_over

    def all(self) -> Iterable[Object]:
        """Every object, ours or not."""
        return self._store.objects()

    def turn(self, tenant: Tenant) -> None:
        """See everything as of another epoch of the tenant."""
        self._tenant = tenant
        for obj in list(self._store.objects()):
            # Nothing else has to do with epochs.
            if ownership.KIND in ownership.annotations_of(obj):
                self._changed(obj, obj)

    def replace(self, objects: Iterable[dict[str, Any]], revision: int, *, asked_at: float | None = None) -> None:
        """Take over a complete list, read at `revision`, asked for at `asked_at` (`time.monotonic()`) or just now."""
        self._store.replace([obj for obj in objects if self._concerns_us(obj)], revision, asked_at=asked_at)

    def vanish(self) -> None:
        """Drop everything: the host has no such collection, until it is replaced."""
        self._store.vanish()

    def upsert(self, obj: dict[str, Any], *, asked: bool = False) -> None:
        """Take over an object; `asked` for one that a request of ours has just answered."""
        if asked or self._concerns_us(obj) or self._store.get(key_of(obj)) is not None:
            self._store.upsert(obj, asked=asked)

    def remove(self, obj: dict[str, Any]) -> None:
        """Drop an object that was deleted."""
        self._store.remove(obj)

    def forget(self, name: str, uid: str) -> None:
        """Drop an object that our own request has deleted."""
        known = self._store.named(name)
        self._store.forget(Key("", name) if known is None else key_of(known), uid)

    def _concerns_us(self, obj: dict[str, Any]) -> bool:
        """Namespaced objects were routed by namespace; of the cluster-scoped ones we keep those of our keys."""
        if self.resource.namespaced:
            return True
        intake(self.resource, obj)
        return any(self._key(owner, obj) is not None for owner in self._owners) or self._is_left_over(obj)

    def _key(self, owner: Kind, obj: Object) -> Key | None:
        return guarded(None, owner.host_key, obj, self._tenant)

    def _is_left_over(self, obj: Object) -> bool:
        return guarded(False, epochs.is_left_over, obj, self._tenant)  # noqa: FBT003 - as `is_left_over` would answer

    def _changed(self, old: Object | None, new: Object | None) -> None:
        present = new if new is not None else old
        if present is None:
            return
        place = key_of(present)
        before = self._keys.pop(place, {})
        self.left_over.pop(place, None)
        after = {}
        if new is not None:
            told = ((owner.resource, self._key(owner, new)) for owner in self._owners)
            after = {owner: key for owner, key in told if key is not None}
            self._keys[place] = after
            if self._is_left_over(new):
                self.left_over[place] = new
                if self._left is not None:
                    self._left(self.resource, place)
        for owner, key in before.items():
            index = self._by_key[owner]
            if old is not None and key in index and uid_of(index[key]) == uid_of(old):
                del index[key]
        for owner, key in after.items():
            self._by_key[owner][key] = present
        self._concerned(self.resource, present, dict.fromkeys((*before.items(), *after.items())))

"""The syncer's memory of one collection of objects.

It is fed by a watch, by lists and by the answers to our own writes, in any order. The one rule: it never goes back in
time. Versions of one server are numbers that only grow, a uid that was deleted never returns, and what a list did not
contain is gone unless it is younger than the list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from vcluster_syncer.model import Key, Object, Resource

# A uid that is gone stays gone, so forgetting the oldest is safe as soon as no watch can be that far behind.
_REMEMBERED_DELETIONS = 2048

Changed = Callable[[Object | None, Object | None], None]
"""Called with the object before and after; None where there is none."""


class Sink(Protocol):
    """What a watch pours into."""

    def replace(self, objects: Iterable[dict[str, Any]], revision: int, *, asked_at: float | None = None) -> None:
        """Take over a complete list, read at `revision`, asked for at `asked_at` (`time.monotonic()`) or just now."""

    def upsert(self, obj: dict[str, Any]) -> None:
        """Take over an object that was added or changed."""

    def remove(self, obj: dict[str, Any]) -> None:
        """Drop an object that was deleted."""

    def vanish(self) -> None:
        """Drop everything: the server has no such collection, until it is replaced."""


def intake(resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """Make a fresh answer uniform: with its kind, which items of lists lack, and without what nobody reads."""
    obj["apiVersion"] = resource.api_version
    obj["kind"] = resource.kind
    obj["metadata"].pop("managedFields", None)
    return obj


def key_of(obj: Object) -> Key:
    """Where an object lives on its own server."""
    metadata = obj["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def revision_of(obj: Object) -> int:
    """The version of an object; comparable with all others of the same server."""
    return int(obj["metadata"]["resourceVersion"])


def uid_of(obj: Object) -> str:
    """The identity of an object."""
    return str(obj["metadata"]["uid"])


class Store:
    """Objects of one resource of one server, by namespace and name.

    `appeared` is called when the server has the collection again, after it had not.
    """

    def __init__(self, resource: Resource, changed: Changed, appeared: Callable[[], None] | None = None) -> None:
        self.resource = resource
        self.is_served = True
        self._changed = changed
        self._appeared = appeared
        self._objects: dict[str, dict[str, Object]] = {}
        self._floor = 0
        self._floor_known_at = 0.0
        self._gone: dict[str, None] = {}

    def __len__(self) -> int:
        return sum(map(len, self._objects.values()))

    def get(self, key: Key) -> Object | None:
        """The object of that namespace and name."""
        namespace = self._objects.get(key.namespace)
        return None if namespace is None else namespace.get(key.name)

    def named(self, name: str) -> Object | None:
        """An object of that name, in whichever namespace."""
        return next((objects[name] for objects in self._objects.values() if name in objects), None)

    def objects(self, namespace: str | None = None) -> Iterator[Object]:
        """The objects of one namespace or of all, as they are now."""
        if namespace is not None:
            return iter(tuple(self._objects.get(namespace, {}).values()))
        return iter([obj for objects in self._objects.values() for obj in objects.values()])

    def replace(self, objects: Iterable[dict[str, Any]], revision: int, *, asked_at: float | None = None) -> None:
        """Take over a complete list, read at `revision`, asked for at `asked_at` (`time.monotonic()`) or just now."""
        if revision < self._floor:
            if asked_at is not None and asked_at < self._floor_known_at:
                # One that was asked for beside it has come before it: there is nothing to learn from this one.
                return
            # The server's history was put back: nothing remembered can be compared with it.
            self._floor = 0
            self._gone.clear()
            for old in list(self.objects()):
                self._drop(old)
        listed = {key_of(obj): obj for obj in objects}
        for old in list(self.objects()):
            if key_of(old) not in listed and revision_of(old) <= revision:
                self._bury(uid_of(old))
                self._drop(old)
        for obj in listed.values():
            self.upsert(obj, asked=True)
        self._floor, self._floor_known_at = revision, time.monotonic()
        self._be_served()

    def vanish(self) -> None:
        """Drop everything: the server has no such collection, until it is replaced."""
        self.is_served = False
        for old in list(self.objects()):
            # Not buried: a definition may come back with its objects, from a checkpoint.
            self._drop(old)

    def upsert(self, obj: dict[str, Any], *, asked: bool = False) -> None:
        """Take over an object unless something younger is known; `asked` for one that a request has just answered."""
        obj = intake(self.resource, obj)
        uid, revision = uid_of(obj), revision_of(obj)
        if uid in self._gone or (revision <= self._floor and not asked):
            return
        key = key_of(obj)
        old = self.get(key)
        if old is not None:
            if revision <= revision_of(old):
                return
            if uid_of(old) != uid:
                self._bury(uid_of(old))
        self._objects.setdefault(key.namespace, {})[key.name] = obj
        self._changed(old, obj)
        self._be_served()

    def remove(self, obj: dict[str, Any]) -> None:
        """Drop an object that was deleted, and what had its name before it."""
        self._bury(uid_of(obj))
        old = self.get(key_of(obj))
        if old is not None and (uid_of(old) == uid_of(obj) or revision_of(old) < revision_of(obj)):
            self._bury(uid_of(old))
            self._drop(old)

    def forget(self, key: Key, uid: str) -> None:
        """Drop the object with that uid: we know it is gone before the watch says so."""
        self._bury(uid)
        old = self.get(key)
        if old is not None and uid_of(old) == uid:
            self._drop(old)

    def _be_served(self) -> None:
        if not self.is_served:
            self.is_served = True
            if self._appeared is not None:
                self._appeared()

    def _drop(self, old: Object) -> None:
        key = key_of(old)
        namespace = self._objects[key.namespace]
        del namespace[key.name]
        if not namespace:
            del self._objects[key.namespace]
        self._changed(old, None)

    def _bury(self, uid: str) -> None:
        self._gone[uid] = None
        if len(self._gone) > _REMEMBERED_DELETIONS:
            del self._gone[next(iter(self._gone))]

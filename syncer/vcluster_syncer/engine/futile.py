"""Writes that changed nothing, so that nobody repeats them.

An API server leaves out what its version does not know, so between versions what was written may never become what is
wanted. The one rule: the same write to the same revision of an object is futile a second time; anything that changes
the one or the other is reason to try again.
"""

from __future__ import annotations

from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.model import Action, Key, PatchHost, PatchVirtual, Resource, UpdateVirtualStatus

_REMEMBERED = 4096

_Target = tuple[bool, Resource, Key]


class Futile:
    """The futile writes of one tenant."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._writes: dict[_Target, tuple[str, Action]] = {}

    def revision(self, action: Action) -> str:
        """Return the resourceVersion of what a write would change, empty when that is unknown or no write."""
        target = _target(action)
        if target is None:
            return ""
        on_host, resource, key = target
        if on_host:
            objects = self._memory.host_objects.get(resource)
            known = None if objects is None else objects.named(key.name)
        else:
            store = self._memory.virtual_stores.get(resource)
            known = None if store is None else store.get(key)
        return "" if known is None else str(known["metadata"].get("resourceVersion", ""))

    def __contains__(self, action: Action) -> bool:
        """Tell whether this write has changed nothing before."""
        target = _target(action)
        known = self._writes.get(target) if target is not None else None
        return known is not None and known == (self.revision(action), action)

    def notice(self, action: Action, before: str) -> None:
        """Take note of a write that was done, to an object that was at revision `before`."""
        target = _target(action)
        if target is None:
            return
        if not before or self.revision(action) != before:
            self._writes.pop(target, None)
            return
        if len(self._writes) >= _REMEMBERED:
            # Of the oldest: its object may be long gone.
            del self._writes[next(iter(self._writes))]
        self._writes[target] = (before, action)


def _target(action: Action) -> _Target | None:
    match action:
        case PatchHost(resource, name):
            return True, resource, Key("", name)
        case PatchVirtual(resource, key):
            return False, resource, key
        case UpdateVirtualStatus(resource, obj):
            return False, resource, Key(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
    return None

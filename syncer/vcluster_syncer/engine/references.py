"""Who uses what: the way back from an object to those that name it.

The one rule: it is derived. It can be rebuilt from the virtual objects and `Kind.references` at any time.
"""

from __future__ import annotations

from collections.abc import Iterable

from vcluster_syncer.model import Reference

_NONE: frozenset[Reference] = frozenset()


class References:
    """Edges from users to what they use, both ways."""

    def __init__(self) -> None:
        self._uses: dict[Reference, frozenset[Reference]] = {}
        self._users: dict[Reference, dict[Reference, None]] = {}

    def update(self, user: Reference, uses: frozenset[Reference]) -> Iterable[Reference]:
        """Say what `user` uses now; returns what entered or left the set."""
        before = self._uses.get(user, _NONE)
        if uses == before:
            return ()
        if uses:
            self._uses[user] = uses
        else:
            del self._uses[user]
        for gone in before - uses:
            users = self._users[gone]
            del users[user]
            if not users:
                del self._users[gone]
        for new in uses - before:
            self._users.setdefault(new, {})[user] = None
        return uses ^ before

    def users(self, used: Reference) -> tuple[Reference, ...]:
        """Who uses it now, whether it exists or not."""
        return tuple(self._users.get(used, ()))

"""Labels and annotations that the host put on a carried object, on their way back.

Load balancers, network plugins and webhooks of the host say in them what users want to read. The one rule: a key has
one side it belongs to. An annotation of the virtual object remembers which came from the host, and as what; those
follow the host, until the user gives one another value: from then on it is his, and goes to the host.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from vcluster_syncer import ownership
from vcluster_syncer.model import Object
from vcluster_syncer.naming import digest

FROM_HOST: Final = f"{ownership.PREFIX}from-host"
"""Annotation of a virtual object: JSON, labels and annotations that came from the host, to hashes of their values."""
_FIELDS: Final = ("labels", "annotations")
# Said by a client of the host about the host's object.
_LEFT_THERE: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})


def _record(virtual: Object) -> Mapping[str, Any]:
    try:
        found = json.loads(ownership.annotations_of(virtual).get(FROM_HOST, "{}"))
    except ValueError:
        # Edited by hand: what came from the host passes for the user's from now on.
        return {}
    return found if isinstance(found, dict) else {}


def came_from_host(virtual: Object, field: str) -> frozenset[str]:
    """Return which keys of `labels` or `annotations` came from the host and are as it set them."""
    record, here = _record(virtual).get(field), virtual["metadata"].get(field) or {}
    if not isinstance(record, Mapping):
        return frozenset()
    return frozenset(key for key, value in record.items() if key in here and digest(here[key]) == value)


def to_virtual(
    virtual: Object, host: Object, carried: Object, scrubber: Callable[[], Callable[[str], str]]
) -> dict[str, Any]:
    """Return the merge patch of `metadata` that shows what the host set; `carried` are the keys that went there.

    `scrubber` makes what takes the host's names out of a text; it is asked only where there is one.
    """
    patch: dict[str, Any] = {}
    made: dict[str, dict[str, str]] = {}
    for field in _FIELDS:
        here, theirs = virtual["metadata"].get(field) or {}, came_from_host(virtual, field)
        ours = frozenset(carried.get(field) or ())
        set_there = {
            key: value
            for key, value in (host["metadata"].get(field) or {}).items()
            if key not in ours | _LEFT_THERE
            and not key.startswith(ownership.PREFIX)
            # What the user has is his, and will replace it on the host.
            and (key in theirs or key not in here)
        }
        scrub = scrubber() if set_there else str
        shown = {key: scrub(value) for key, value in set_there.items()}
        changed: dict[str, str | None] = {key: value for key, value in shown.items() if here.get(key) != value}
        changed.update((key, None) for key in theirs if key not in shown)
        if changed:
            patch[field] = changed
        if shown:
            made[field] = {key: digest(value) for key, value in shown.items()}
    note = json.dumps(made, separators=(",", ":"), sort_keys=True) if made else None
    if note != ownership.annotations_of(virtual).get(FROM_HOST):
        patch.setdefault("annotations", {})[FROM_HOST] = note
    return {"metadata": patch} if patch else {}

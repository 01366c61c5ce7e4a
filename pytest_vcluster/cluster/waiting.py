"""Waiting for one object to become what a test needs.

The one rule: an object is watched, never polled, and a wait that ends in vain tells what the object looked like last
and what happened to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pytest_vcluster.cluster import events
from pytest_vcluster.cluster.api import Api, Target
from pytest_vcluster.cluster.conditions import Condition, Deleted
from pytest_vcluster.cluster.objects import Object, describe, spoken
from pytest_vcluster.errors import ApiError, Timeout


def wait_until(
    api: Api,
    target: Target,
    condition: Condition,
    *,
    words: str,
    timeout: float,
    explain: Callable[[Target], str] | None = None,
) -> Object:
    """Wait until `condition` (in the user's `words`) is true of an object; return it as it was then.

    An object that does not exist yet is waited for. For a deletion the last state before it is returned, or an empty
    dict if there was none. Raises Timeout, which says what `explain` knows beyond the API server.
    """
    began = time.monotonic()
    last: Object | None = None
    try:
        for state in api.observe(target, deadline=began + timeout):
            if condition.met(state):
                return (last if isinstance(condition, Deleted) else state) or {}
            last = state
    except ApiError as error:
        # With a definition its objects go, and with them the path at which they were asked for.
        if isinstance(condition, Deleted) and error.status == 404:
            return last or {}
        raise
    elapsed = time.monotonic() - began
    happened = events.recent(api, target)
    known = explain(target) if explain is not None else ""
    raise Timeout(
        f"Waiting for {spoken(target.resource.kind, target.name, target.namespace)}: {words}",
        elapsed=elapsed,
        last_seen=describe(last)
        + (f"\nLast events:\n{happened}" if happened else "\nNo events tell of it.")
        + (f"\nPods that are not ready:\n{known}".rstrip() if known else ""),
    )

"""Clusters that serve what their build serves, and what that is.

The one rule: what one of them serves is what any other of the same build does, so that it need not be asked for again.
"""

from __future__ import annotations

from vcluster_syncer.recycle.barrier import Served
from vcluster_syncer.recycle.stored import Baseline

DEFINITIONS = b"apiextensions.k8s.io/customresourcedefinitions/"
_API_SERVICES, _SOMEBODY_ELSES = b"apiregistration.k8s.io/apiservices/", b'"service":{'

Plain = dict[bytes, Served]
"""What API servers serve that were asked for nothing special, by their build; all recyclers of a process know it."""


def is_plain(state: Baseline) -> bool:
    """Tell whether a cluster serves what its build serves, no definitions and nobody else's API."""
    return not is_extended(state) and not any(key.startswith(DEFINITIONS) for key in state.values)


def is_extended(state: Baseline) -> bool:
    """Tell whether a cluster serves somebody else's API: figures of what pods use always are one."""
    return any(key.startswith(_API_SERVICES) and _SOMEBODY_ELSES in value for key, value in state.values.items())

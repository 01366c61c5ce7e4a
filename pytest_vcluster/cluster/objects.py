"""Kubernetes objects as plain dicts, and how people are told about them.

The one rule: pure. Every wait and every error describes objects through here, so that they all read alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object as JSON has it."""

_COUNTS = ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas", "desiredNumberScheduled", "numberReady")


def metadata(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object's metadata; empty if it has none."""
    return found.get("metadata") or {}


def name_of(found: Mapping[str, Any]) -> str:
    """The object's name."""
    return str(metadata(found).get("name", ""))


def namespace_of(found: Mapping[str, Any]) -> str:
    """The object's namespace; empty for a cluster-scoped one."""
    return str(metadata(found).get("namespace") or "")


def conditions_of(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The object's status conditions."""
    status = found.get("status")
    conditions = status.get("conditions") if isinstance(status, Mapping) else None
    return [item for item in conditions or [] if isinstance(item, Mapping)] if isinstance(conditions, list) else []


def condition_of(found: Mapping[str, Any], wanted: str) -> Mapping[str, Any] | None:
    """The condition of this type, compared as kubectl does: without regard to case."""
    return next((item for item in conditions_of(found) if str(item.get("type", "")).lower() == wanted.lower()), None)


def spoken(kind: str, name: str, namespace: str = "") -> str:
    """An object as messages call it: `Deployment web in namespace default`."""
    return f"{kind} {name} in namespace {namespace}" if namespace else f"{kind} {name}"


def describe(state: Mapping[str, Any] | None) -> str:
    """What is to be seen of an object that somebody waits for, in a few lines; None is an object that isn't there."""
    if state is None:
        return "no such object"
    status = state.get("status") if isinstance(state.get("status"), Mapping) else {}
    assert isinstance(status, Mapping)
    lines = [", ".join(_facts(state, status)), *map(_condition, conditions_of(state)), *_containers(status)]
    return "\n  ".join(line for line in lines if line) or "the object, without any status"


def _facts(state: Mapping[str, Any], status: Mapping[str, Any]) -> Iterable[str]:
    meta = metadata(state)
    if meta.get("deletionTimestamp"):
        yield f"being deleted since {meta['deletionTimestamp']}"
        if meta.get("finalizers"):
            yield f"held by finalizers {', '.join(meta['finalizers'])}"
    if isinstance(status.get("phase"), str):
        yield f"phase {status['phase']}"
    wanted = state.get("spec", {}).get("replicas") if isinstance(state.get("spec"), Mapping) else None
    if wanted is not None:
        yield f"{wanted} replicas wanted"
    yield from (f"{name} {status[name]}" for name in _COUNTS if name in status)
    observed = status.get("observedGeneration")
    if isinstance(observed, int) and observed < meta.get("generation", 0):
        yield f"status is of generation {observed}, the object's is {meta['generation']}"
    reason = ": ".join(str(status[name]) for name in ("reason", "message") if status.get(name))
    if reason:
        yield reason


def _condition(condition: Mapping[str, Any]) -> str:
    reason = ": ".join(str(condition[name]) for name in ("reason", "message") if condition.get(name))
    return f"{condition.get('type')}={condition.get('status')}" + (f" ({reason})" if reason else "")


def _containers(status: Mapping[str, Any]) -> Iterable[str]:
    for name in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(name) or ():
            for state in ("waiting", "terminated"):
                told = (container.get("state") or {}).get(state)
                if told:
                    words = ": ".join(str(told[key]) for key in ("reason", "message") if told.get(key))
                    yield f"container {container.get('name')} {state}" + (f" ({words})" if words else "")

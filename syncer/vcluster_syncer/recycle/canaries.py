"""Canaries: objects whose effect shows that the API server has taken over all that was written before them.

A list tells what the API server's caches hold, but authorization and admission work from copies that are fed from
those caches a moment later. Each copy is fed in order; so a canary that is written last, and takes effect, proves that
everything before it took effect too. Canaries go into the data store in the same transaction as the last change, and
are removed like anything else that the baseline doesn't have. Nothing but our own dry-run request ever matches one.

The one rule: pure. Which canary, what it stores, what to ask, and what the answer means; nobody sends anything here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from vcluster_syncer.kube.requests import Request
from vcluster_syncer.recycle.canary_objects import (
    NAMESPACE,
    PREFIX,
    Stored,
    claim,
    cluster_roles,
    config_map,
    dry_run_lease,
    ingress,
    ingress_class,
    may_get,
    mutating_policy,
    orphan,
    pod,
    priority_class,
    quota,
    roles,
    runtime_class,
    storage_class,
    unaccounted,
    validating_policy,
    webhook,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server said: the object of a success, or status and message of an error."""

    object: Mapping[str, Any] | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One canary, for changes of any of `collections`."""

    collections: frozenset[str]
    objects: Callable[[str], Stored]
    """`name -> (key, object)`, in the order in which they are written."""
    ask: Callable[[str], Request]
    seen: Callable[[str, Answer], bool]
    """Whether the answer shows the canary of that name at work."""


def needed(collections: frozenset[str]) -> tuple[Canary, ...]:
    """Choose the canaries for changes of `collections`."""
    return tuple(canary for canary in CANARIES if canary.collections & collections)


def named(canaries: Sequence[Canary], token: str) -> dict[str, Canary]:
    """Give each of `canaries` a name of its own, so that none takes another's effect for its own."""
    return {f"{PREFIX}{token}-{number}": canary for number, canary in enumerate(canaries)}


def stored(canaries: Mapping[str, Canary]) -> dict[bytes, bytes]:
    """Make the keys and values of named canaries; JSON, which an API server reads as well as its own encoding."""
    return {
        key.encode(): orjson.dumps(value) for name, canary in canaries.items() for key, value in canary.objects(name)
    }


def of_controllers(name: str) -> dict[bytes, bytes]:
    """Make the keys and values of what a controller manager that works sees to at once; see `Barrier.controllers`."""
    return {key.encode(): orjson.dumps(value) for key, value in (*orphan(name), *unaccounted(name))}


def is_canary(key: bytes) -> bool:
    """Tell whether a key is one that `stored` made."""
    return key.rpartition(b"/")[2].startswith(PREFIX.encode())


def _refused(name: str, answer: Answer) -> bool:
    return answer.object is None and name in answer.message


def _allowed(_name: str, answer: Answer) -> bool:
    return answer.object is not None and bool(answer.object.get("status", {}).get("allowed"))


def _annotated(name: str, answer: Answer) -> bool:
    found = answer.object or {}
    return bool((found.get("metadata", {}).get("annotations") or {}).get("barrier") == name)


def _of_class(field: str) -> Callable[[str, Answer], bool]:
    def seen(name: str, answer: Answer) -> bool:
        return answer.object is not None and answer.object.get("spec", {}).get(field) == name

    return seen


CANARIES: tuple[Canary, ...] = (
    Canary(
        collections=frozenset({"clusterroles", "clusterrolebindings"}),
        objects=cluster_roles,
        ask=lambda name: may_get(name, user=name),
        seen=_allowed,
    ),
    Canary(
        collections=frozenset({"roles", "rolebindings"}),
        objects=roles,
        ask=lambda name: may_get(name, user=f"{name}-ns", namespace=NAMESPACE),
        seen=_allowed,
    ),
    Canary(
        collections=frozenset({"validatingwebhookconfigurations"}),
        objects=webhook("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
        ask=dry_run_lease,
        seen=lambda name, answer: _refused(f"{name}.invalid.example", answer),
    ),
    Canary(
        collections=frozenset({"mutatingwebhookconfigurations"}),
        objects=webhook("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
        ask=dry_run_lease,
        seen=lambda name, answer: _refused(f"{name}.invalid.example", answer),
    ),
    Canary(
        collections=frozenset({"validatingadmissionpolicies", "validatingadmissionpolicybindings"}),
        objects=validating_policy,
        ask=dry_run_lease,
        # The name alone would not do: any refusal quotes the name of the Lease.
        seen=lambda name, answer: _refused(f"denied request: {name}", answer),
    ),
    Canary(
        collections=frozenset({"mutatingadmissionpolicies", "mutatingadmissionpolicybindings"}),
        objects=mutating_policy,
        ask=dry_run_lease,
        seen=_annotated,
    ),
    Canary(
        collections=frozenset({"resourcequotas"}),
        objects=quota,
        ask=config_map,
        seen=lambda name, answer: _refused(f"exceeded quota: {name}", answer),
    ),
    Canary(
        collections=frozenset({"storageclasses"}),
        objects=storage_class,
        ask=claim(NAMESPACE),
        seen=_of_class("storageClassName"),
    ),
    Canary(
        collections=frozenset({"ingressclasses"}),
        objects=ingress_class,
        ask=ingress,
        seen=_of_class("ingressClassName"),
    ),
    Canary(
        collections=frozenset({"priorityclasses"}),
        objects=priority_class,
        ask=pod("priorityClassName"),
        seen=_of_class("priorityClassName"),
    ),
    Canary(
        collections=frozenset({"runtimeclasses"}),
        objects=runtime_class,
        ask=pod("runtimeClassName"),
        seen=_of_class("runtimeClassName"),
    ),
)

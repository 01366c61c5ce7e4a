"""What both sides may set on a node: labels, taints and whether it takes new pods.

A private host node is the user's, so what he sets goes there and means what it says: the host's scheduler keeps to
it. On nodes that are shared it stays his own note. The one rule: of what was the same on both sides, whoever changed
it since is right, and the host where both did; taints that tell of a node's condition are always the host's. A private
host node remembers what came from the user: a virtual cluster that is put back to an earlier state takes it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from vcluster_syncer import ownership
from vcluster_syncer.model import Object, Tenant

_PAIR: Final = 2
_CORDONED: Final = "node.kubernetes.io/unschedulable"
_CONDITION_TAINTS: Final = frozenset(
    f"node.kubernetes.io/{condition}"
    for condition in (
        "disk-pressure",
        "memory-pressure",
        "network-unavailable",
        "not-ready",
        "pid-pressure",
        "unreachable",
        "unschedulable",
    )
)
"""Put on by the virtual API server's admission, or by controllers that only the host has."""


class Settings(NamedTuple):
    """Of one node, in the virtual cluster's words."""

    labels: Mapping[str, Any]
    taints: Mapping[str, Any]
    """By key and effect; without those of its condition."""
    cordon: Mapping[str, Any]
    """One entry when it takes no new pods, else none."""

    def as_json(self) -> dict[str, Any]:
        """Return them as they are remembered."""
        return {"labels": self.labels, "taints": self.taints, "cordon": self.cordon}

    @classmethod
    def remembered(cls, found: Mapping[str, Any]) -> Settings:
        """Read what `as_json` gave; what somebody broke since is empty."""
        fields = (found.get(name) for name in cls._fields)
        return cls(*(field if isinstance(field, Mapping) else {} for field in fields))


def _is_of_a_condition(taint: Object) -> bool:
    return taint["key"] in _CONDITION_TAINTS


def condition_taints(node: Object) -> list[Object]:
    """Return the taints that tell of a node's condition."""
    return [taint for taint in node["spec"].get("taints") or () if _is_of_a_condition(taint)]


def conditions_of_host(host: Object) -> list[Object]:
    """Return the taints of its condition that a host node shows; that of a cordon which is over is about to go."""
    return [taint for taint in condition_taints(host) if taint["key"] != _CORDONED or host["spec"].get("unschedulable")]


def of(node: Object, labels: Mapping[str, str]) -> Settings:
    """Return the settings of a node with `labels`."""
    taints = (taint for taint in node["spec"].get("taints") or () if not _is_of_a_condition(taint))
    return Settings(
        {key: value for key, value in labels.items() if not key.startswith(ownership.PREFIX)},
        {f"{taint['key']}:{taint['effect']}": taint for taint in taints},
        {"unschedulable": True} if node["spec"].get("unschedulable") else {},
    )


def _holds(told: Mapping[str, Any], key: str, there: Mapping[str, Any]) -> bool:
    """Tell whether the host still has what it was told."""
    pair = told.get(key)
    return isinstance(pair, list) and len(pair) == _PAIR and bool(pair[0] == there.get(key))


def _agreed(
    base: Mapping[str, Any],
    here: Mapping[str, Any],
    there: Mapping[str, Any],
    told: Mapping[str, Any],
    *,
    is_private: bool,
) -> dict[str, Any]:
    made = {}
    for key in {**base, **there, **here}:
        once, user, host = base.get(key), here.get(key), there.get(key)
        # What the user adds to a shared node is his; what he changes or takes off there is the host's.
        is_unchanged = host == once or _holds(told, key, there)
        value = user if is_unchanged and (is_private or once is None) else host
        if value is not None:
            made[key] = value
    return made


def agreed(base: Settings, here: Settings, there: Settings, told: Settings, tenant: Tenant) -> Settings:
    """Return what a node's settings are.

    Given are those both sides had once, those of the virtual and of the host node, and what the host was told last.
    """
    made = (_agreed(*each, is_private=tenant.private_nodes) for each in zip(base, here, there, told, strict=True))
    labels, taints, cordon = made
    # Whose node it is can't be changed from within.
    labels.pop(tenant.node_label, None)
    own = {key: value for key, value in there.labels.items() if key == tenant.node_label}
    return Settings({**labels, **own}, taints, cordon)


def told(before: Settings, there: Settings, wanted: Settings) -> Settings:
    """Return what the host has been told of once it has `wanted` instead of `there`: what is, and what was."""
    made = []
    for once, now, then in zip(before, there, wanted, strict=True):
        kept = {key: pair for key, pair in once.items() if _holds(once, key, now)}
        for key in {**now, **then}:
            if now.get(key) != then.get(key):
                kept[key] = [then.get(key), kept[key][1] if key in kept else now.get(key)]
        made.append({key: pair for key, pair in kept.items() if pair[0] != pair[1]})
    return Settings(*made)


def untold(there: Settings, told: Settings) -> Settings:
    """Return what a host node would have if nobody had told it anything."""
    made = []
    for now, pairs in zip(there, told, strict=True):
        own = {**now, **{key: pair[1] for key, pair in pairs.items() if _holds(pairs, key, now)}}
        made.append({key: value for key, value in own.items() if value is not None})
    return Settings(*made)


def patch(now: Settings, wanted: Settings, conditions: list[Object], shown: list[Object]) -> dict[str, Any]:
    """Return the merge patch from one node's settings to others.

    `conditions` are the taints of its condition that it is to have, `shown` those that it has.
    """
    made: dict[str, Any] = {}
    labels = {
        key: wanted.labels.get(key)
        for key in {**now.labels, **wanted.labels}
        if now.labels.get(key) != wanted.labels.get(key)
    }
    if labels:
        made["metadata"] = {"labels": labels}
    spec: dict[str, Any] = {}
    if now.taints != wanted.taints or conditions != shown:
        spec["taints"] = [*wanted.taints.values(), *conditions] or None
    if now.cordon != wanted.cordon:
        spec["unschedulable"] = wanted.cordon.get("unschedulable")
    if spec:
        made["spec"] = spec
    return made

"""Network policies: enforced by the host's network, which sees host pods with their virtual labels.

A peer chosen by labels of pods and of namespaces becomes one selector of host pods, which tell the labels of their
virtual namespace as their own. The one rule: whatever is selected is of this tenant; a policy of one tenant never
isolates, and never admits by name, a pod of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcluster_syncer.model import NETWORK_POLICIES, Key, Kind, Object, Rule, Switch, Tenant
from vcluster_syncer.translate import carried, labels, metadata


def _peer(peer: Object, key: Key, tenant: Tenant) -> dict[str, Any]:
    if peer.get("ipBlock") is not None:
        return dict(peer)
    spaces = peer.get("namespaceSelector")
    made = labels.selector_to_host(
        peer.get("podSelector") or {}, tenant, [key.namespace] if spaces is None else None, spaces=spaces
    )
    return {"podSelector": made, **labels.everywhere(tenant)}


def _rules(rules: Sequence[Object], field: str, key: Key, tenant: Tenant) -> list[dict[str, Any]]:
    # A rule without peers is about everybody, inside and outside; it stays so.
    return [
        {**rule, **({field: [_peer(peer, key, tenant) for peer in rule[field]]} if rule.get(field) else {})}
        for rule in rules
    ]


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host policy of a virtual one."""
    spec = dict(virtual["spec"])
    spec["podSelector"] = labels.selector_to_host(spec.get("podSelector") or {}, tenant, [key.namespace])
    for field, peers in (("ingress", "from"), ("egress", "to")):
        if spec.get(field):
            spec[field] = _rules(spec[field], peers, key, tenant)
    return {
        "apiVersion": NETWORK_POLICIES.api_version,
        "kind": NETWORK_POLICIES.kind,
        "metadata": metadata.to_host(key, virtual, tenant, NETWORK_POLICIES),
        "spec": spec,
    }


KIND = Kind(
    resource=NETWORK_POLICIES,
    reconcile=carried.by(NETWORK_POLICIES, to_host),
    host_key=carried.key_of(NETWORK_POLICIES),
    switch=Switch("to_host", "network_policies"),
    host_rules=(Rule.to_carry(NETWORK_POLICIES),),
)

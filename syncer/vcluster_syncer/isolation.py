"""What keeps a tenant's pods within bounds on the host: quota, limits, pod security, network.

The host enforces it, on the namespace the tenant has there, and its refusals reach the user as events of his own
objects. The one rule: nothing is bounded that was not asked for, and what bounds is never an object that the tenant
could change: these are made by the syncer and carried from nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vcluster_syncer import ownership
from vcluster_syncer.model import NAMESPACES, NETWORK_POLICIES, NODES, PODS, Object, Resource, Rule, Tenant
from vcluster_syncer.naming import host_name

RESOURCE_QUOTAS: Final = Resource("", "v1", "resourcequotas", "ResourceQuota")
LIMIT_RANGES: Final = Resource("", "v1", "limitranges", "LimitRange")
POD_SECURITY: Final = "pod-security.kubernetes.io/enforce"
LEVELS: Final = ("privileged", "baseline", "restricted")
BOUNDING: Final = (RESOURCE_QUOTAS, LIMIT_RANGES, NETWORK_POLICIES)
MARK: Final = f"{ownership.PREFIX}isolation"
"""Annotation: the object bounds the tenant, and is the syncer's own."""

# Where other tenants, nodes and the host's own services are.
_PRIVATE: Final = ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
_PRIVATE_6: Final = ("fc00::/7", "fe80::/10")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms a tenant is on the host."""

    reserve: Mapping[str, str] = field(default_factory=dict)
    """Resources the host must have for it, and keeps for it, before it is carried."""
    quota: Mapping[str, str] = field(default_factory=dict)
    """The most it may use: `hard` of a ResourceQuota."""
    limits: Mapping[str, str] = field(default_factory=dict)
    """Limits of containers that have none."""
    requests: Mapping[str, str] = field(default_factory=dict)
    """Requests of containers that have none; a quota refuses pods without."""
    pod_security: str = ""
    """One of `LEVELS`; empty leaves the namespace as it is."""
    network_policy: bool = False
    """Its pods reach each other, the host's DNS and the internet, and nobody else reaches them."""

    @property
    def is_bounded(self) -> bool:
        """Whether anything is asked of the tenant's host namespace."""
        return bool(self.quota or self.limits or self.requests or self.pod_security or self.network_policy)


NO_TERMS: Final = Terms()
"""A tenant that is sure of nothing, and bounded by nothing."""


def name_of(tenant: Tenant) -> str:
    """What the objects that bound a tenant are called."""
    return host_name(tenant.name, "", "isolation", role="isolation")


def is_ours(item: Object, tenant: Tenant) -> bool:
    """Tell whether an object of that name was made to bound this tenant."""
    mine = ownership.labels_of(item).get(ownership.TENANT_LABEL) == tenant.name
    return mine and MARK in ownership.annotations_of(item)


def objects(tenant: Tenant, terms: Terms) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """Yield what is to be in the tenant's host namespace."""
    if terms.quota:
        yield RESOURCE_QUOTAS, _made(RESOURCE_QUOTAS, tenant, {"hard": dict(terms.quota)})
    if terms.limits or terms.requests:
        limit: dict[str, Any] = {"type": "Container"}
        if terms.limits:
            limit["default"] = dict(terms.limits)
        if terms.requests:
            limit["defaultRequest"] = dict(terms.requests)
        yield LIMIT_RANGES, _made(LIMIT_RANGES, tenant, {"limits": [limit]})
    if terms.network_policy:
        yield NETWORK_POLICIES, _made(NETWORK_POLICIES, tenant, _traffic(tenant))


def _made(resource: Resource, tenant: Tenant, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name_of(tenant),
            "namespace": tenant.host_namespace,
            "labels": {ownership.TENANT_LABEL: tenant.name},
            "annotations": {MARK: "true"},
        },
        "spec": dict(spec),
    }


def _traffic(tenant: Tenant) -> dict[str, Any]:
    # The namespace is the tenant's alone: whoever is in it is one of its pods, or its control plane.
    neighbours: dict[str, Any] = {"podSelector": {}}
    system = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    dns = {"namespaceSelector": system, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    internet = [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(_PRIVATE)}},
        {"ipBlock": {"cidr": "::/0", "except": list(_PRIVATE_6)}},
    ]
    return {
        "podSelector": {"matchLabels": {ownership.TENANT_LABEL: tenant.name}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [neighbours]}],
        "egress": [{"to": [neighbours]}, {"to": [dns], "ports": ports}, {"to": internet}],
    }


def host_rules(terms: Terms) -> tuple[Rule, ...]:
    """Return the rights on the host that terms need, besides those of the kinds."""
    rules = []
    if terms.is_bounded:
        verbs = ("create", "delete", "get", "patch")
        rules += [Rule(one.group, (one.plural,), verbs) for one in BOUNDING]
    if terms.reserve:
        rules += [Rule("", (one.plural,), ("list",), cluster_scoped=True) for one in (NAMESPACES, NODES, PODS)]
    if terms.is_bounded or terms.reserve:
        rules.append(Rule("", (NAMESPACES.plural,), ("get", "patch"), cluster_scoped=True))
    return tuple(rules)

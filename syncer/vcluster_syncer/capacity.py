"""Whether the host has room for one more virtual cluster.

Each tenant that is to be sure of its room says on its host namespace how much it keeps, whether or not it uses it yet.
The one rule: promised is promised. What others have reserved is taken even while it is idle, and what pods use beyond
that is taken, too; a cluster that would get less than it asks for is refused before anybody has it.

Who asks says so before he looks, and what others ask for counts as if it were theirs. So of two that ask at once at
least one sees the other, and the host is never promised twice; they may both be refused, and then ask again.

Room is counted over all nodes together, so a single pod may still be too large for each of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final, TypeAlias

from vcluster_syncer import ownership
from vcluster_syncer.model import Object, Tenant
from vcluster_syncer.quantities import parse, shown

RESERVED: Final = f"{ownership.PREFIX}reserved"
"""Annotation of a host namespace: JSON, how much of which resource is kept for it."""

Amounts: TypeAlias = Mapping[str, Fraction]
_ENDED: Final = frozenset({"Succeeded", "Failed"})
_KEEPING_AWAY: Final = frozenset({"NoSchedule", "NoExecute"})


def note(reserve: Mapping[str, str], tenant: Tenant, *, asking: bool = False) -> str:
    """Return what a namespace says of its reservation; `asking` while it is not granted."""
    nodes = "private" if tenant.private_nodes else "shared"
    said: dict[str, object] = {"nodes": nodes, "resources": dict(reserve), **({"asking": True} if asking else {})}
    return json.dumps(said, separators=(",", ":"), sort_keys=True)


def is_contested(tenant: Tenant, namespaces: Sequence[Object]) -> bool:
    """Tell whether somebody else asks at this moment, so that a refusal may be due to him who may be refused, too."""
    return any(_noted(one).get("asking") for one in namespaces if one["metadata"]["name"] != tenant.host_namespace)


def refusal(
    tenant: Tenant,
    reserve: Mapping[str, str],
    *,
    nodes: Iterable[Object],
    pods: Sequence[Object],
    namespaces: Sequence[Object],
) -> str:
    """Tell why `reserve` can't be kept for a tenant whose namespace says so already; empty if it can."""
    usable = [node for node in nodes if _is_usable(node, tenant)]
    reserved = _reserved(tenant, namespaces)
    names = {node["metadata"]["name"] for node in usable}
    used: dict[str, list[Amounts]] = {}
    for pod in pods:
        place = pod["spec"].get("nodeName")
        namespace = pod["metadata"]["namespace"]
        is_here = place in names or (not place and namespace in reserved)
        if is_here and namespace != tenant.host_namespace and (pod.get("status") or {}).get("phase") not in _ENDED:
            used.setdefault(namespace, []).append(requests(pod))
    lines = []
    for resource, wanted in sorted(reserve.items()):
        has = sum((parse(node["status"]["allocatable"].get(resource, "0")) for node in usable), Fraction(0))
        kept = sum((amounts.get(resource, Fraction(0)) for amounts in reserved.values()), Fraction(0))
        taken = Fraction(0)
        for namespace, amounts in used.items():
            uses = sum((each.get(resource, Fraction(0)) for each in amounts), Fraction(0))
            taken += max(Fraction(0), uses - reserved.get(namespace, {}).get(resource, Fraction(0)))
        free = has - kept - taken
        if parse(wanted) > free:
            lines.append(
                f"{resource}: {wanted} asked for, {shown(max(free, Fraction(0)))} free of {shown(has)} "
                f"({shown(kept)} reserved by other clusters, {shown(taken)} used besides)"
            )
    if not lines:
        return ""
    return (
        f"the host has no room for tenant {tenant.name!r} on its {len(usable)} usable nodes. {'; '.join(lines)}. "
        "End other clusters, ask for less in `reserve`, or add nodes."
    )


def requests(pod: Object) -> dict[str, Fraction]:
    """Return what the scheduler counts for a pod."""
    spec = pod["spec"]
    always: dict[str, Fraction] = {}
    most: dict[str, Fraction] = {}
    for container in spec.get("initContainers") or ():
        own = _requests(container)
        if container.get("restartPolicy") == "Always":
            always = _sum(always, own)
            own = {}
        most = _most(most, _sum(always, own))
    for container in spec.get("containers") or ():
        always = _sum(always, _requests(container))
    whole = _most(most, always) | _requests(spec)
    return _sum(whole, {name: parse(value) for name, value in (spec.get("overhead") or {}).items()}) | {
        "pods": Fraction(1)
    }


def _requests(holder: Object) -> dict[str, Fraction]:
    asked = (holder.get("resources") or {}).get("requests") or {}
    return {name: parse(value) for name, value in asked.items()}


def _sum(one: Amounts, other: Amounts) -> dict[str, Fraction]:
    return {name: one.get(name, Fraction(0)) + other.get(name, Fraction(0)) for name in {**one, **other}}


def _most(one: Amounts, other: Amounts) -> dict[str, Fraction]:
    return {name: max(one.get(name, Fraction(0)), other.get(name, Fraction(0))) for name in {**one, **other}}


def _is_usable(node: Object, tenant: Tenant) -> bool:
    owner = ownership.labels_of(node).get(tenant.node_label)
    if owner != ((tenant.node_label_value or tenant.name) if tenant.private_nodes else None):
        return False
    if node["spec"].get("unschedulable"):
        return False
    if any(taint.get("effect") in _KEEPING_AWAY for taint in node["spec"].get("taints") or ()):
        return False
    conditions = (node.get("status") or {}).get("conditions") or ()
    is_ready = all(one["status"] == "True" for one in conditions if one["type"] == "Ready")
    return is_ready and "allocatable" in (node.get("status") or {})


def _reserved(tenant: Tenant, namespaces: Sequence[Object]) -> dict[str, Amounts]:
    """What other namespaces keep, or ask for at this moment, of the nodes that this tenant would share with them."""
    if tenant.private_nodes:
        return {}
    others = (one for one in namespaces if one["metadata"]["name"] != tenant.host_namespace)
    return {one["metadata"]["name"]: amounts for one in others if (amounts := _amounts(_noted(one)))}


def _noted(namespace: Object) -> Object:
    try:
        found = json.loads(ownership.annotations_of(namespace).get(RESERVED, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _amounts(noted: Object) -> Amounts:
    resources = noted.get("resources")
    if noted.get("nodes") != "shared" or not isinstance(resources, dict):
        # Nobody's promise can be read from it.
        return {}
    try:
        return {name: parse(value) for name, value in resources.items()}
    except (ValueError, TypeError):
        return {}

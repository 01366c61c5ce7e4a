"""Where a pod may run, said so that the host's scheduler decides as the virtual cluster's would.

The one rule: whatever a pod is compared with, pods or nodes, is confined to its own tenant.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from vcluster_syncer import ownership
from vcluster_syncer.model import NAMESPACES, Object, World
from vcluster_syncer.translate import labels, node_names

FIELDS: Final = ("affinity", "nodeSelector", "topologySpreadConstraints")
_REQUIRED, _PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


def node_selector(spec: Object, world: World) -> dict[str, str]:
    """Return the host pod's node selector: the user's, and the tenant's own nodes where it has such."""
    own, tenant = dict(spec.get("nodeSelector") or {}), world.tenant
    if tenant.private_nodes:
        own[tenant.node_label] = tenant.node_label_value or tenant.name
    return own


def _resolved_keys(selector: Object | None, holder: Object, pod: Object) -> Object | None:
    # The virtual API server may or may not have merged these into the selector, the host's would do it (again); said
    # once and for all as expressions, the fields are not needed. https://kep.k8s.io/3633
    if selector is None:
        return None
    expressions = list(selector.get("matchExpressions") or ())
    own = ownership.labels_of(pod)
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        for key in holder.get(field) or ():
            expression = {"key": key, "operator": operator, "values": [own[key]]} if key in own else None
            if expression is not None and expression not in expressions:
                expressions.append(expression)
    return {**selector, "matchExpressions": expressions} if expressions else selector


def _namespaces(term: Object, pod: Object, world: World) -> Iterable[str] | None:
    selector, named = term.get("namespaceSelector"), set(term.get("namespaces") or ())
    if selector is None:
        return named or {pod["metadata"]["namespace"]}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        return None
    return named | {
        namespace["metadata"]["name"]
        for namespace in world.virtual_list(NAMESPACES)
        if labels.matches(selector, ownership.labels_of(namespace))
    }


_TERM_DROPS: Final = frozenset({"namespaces", "namespaceSelector", "matchLabelKeys", "mismatchLabelKeys"})


def _term(term: Object, pod: Object, world: World) -> dict[str, Any]:
    made = {name: value for name, value in term.items() if name not in _TERM_DROPS}
    selector = _resolved_keys(term.get("labelSelector"), term, pod)
    namespaces = _namespaces(term, pod, world)
    if namespaces is not None and not namespaces:
        # No namespace matches: nothing is selected, and an expression with no values is not legal.
        made.pop("labelSelector", None)
    elif selector is not None:
        made["labelSelector"] = labels.selector_to_host(selector, world.tenant, namespaces)
        made.update(labels.everywhere(world.tenant))
    return made


def _between_pods(affinity: Object, pod: Object, world: World) -> dict[str, Any]:
    made: dict[str, Any] = dict(affinity)
    if affinity.get(_REQUIRED):
        made[_REQUIRED] = [_term(term, pod, world) for term in affinity[_REQUIRED]]
    if affinity.get(_PREFERRED):
        made[_PREFERRED] = [
            {**weighted, "podAffinityTerm": _term(weighted["podAffinityTerm"], pod, world)}
            for weighted in affinity[_PREFERRED]
        ]
    return made


def _node_term(term: Object, world: World) -> dict[str, Any]:
    made = dict(term)
    if term.get("matchFields"):
        made["matchFields"] = [
            {**field, "values": [node_names.to_host(name, world) or name for name in field.get("values") or ()]}
            if field.get("key") == "metadata.name"
            else field
            for field in term["matchFields"]
        ]
    return made


def _to_nodes(affinity: Object, world: World) -> dict[str, Any]:
    made: dict[str, Any] = dict(affinity)
    if affinity.get(_REQUIRED):
        terms = affinity[_REQUIRED].get("nodeSelectorTerms") or ()
        made[_REQUIRED] = {**affinity[_REQUIRED], "nodeSelectorTerms": [_node_term(term, world) for term in terms]}
    if affinity.get(_PREFERRED):
        made[_PREFERRED] = [
            {**weighted, "preference": _node_term(weighted["preference"], world)} for weighted in affinity[_PREFERRED]
        ]
    return made


def affinity(pod: Object, world: World) -> dict[str, Any]:
    """Return the host pod's affinity, empty for none."""
    made = dict(pod["spec"].get("affinity") or {})
    if made.get("nodeAffinity"):
        made["nodeAffinity"] = _to_nodes(made["nodeAffinity"], world)
    for field in ("podAffinity", "podAntiAffinity"):
        if made.get(field):
            made[field] = _between_pods(made[field], pod, world)
    return made


def topology_spread(pod: Object, world: World) -> list[dict[str, Any]]:
    """Return the host pod's topology spread constraints."""
    namespace = pod["metadata"]["namespace"]
    constraints = []
    for constraint in pod["spec"].get("topologySpreadConstraints") or ():
        made = {name: value for name, value in constraint.items() if name != "matchLabelKeys"}
        if world.tenant.private_nodes:
            # Ignoring the node selector would count neighbours' nodes, on which nothing of ours can ever be.
            made.pop("nodeAffinityPolicy", None)
        selector = _resolved_keys(constraint.get("labelSelector"), constraint, pod)
        if selector is not None:
            made["labelSelector"] = labels.selector_to_host(selector, world.tenant, [namespace])
        constraints.append(made)
    return constraints


def to_host(pod: Object, world: World) -> dict[str, Any]:
    """Return `FIELDS` of the host pod's spec."""
    return {
        "affinity": affinity(pod, world),
        "nodeSelector": node_selector(pod["spec"], world),
        "topologySpreadConstraints": topology_spread(pod, world),
    }

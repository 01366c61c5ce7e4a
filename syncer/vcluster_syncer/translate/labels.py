"""Labels and label selectors on their way to the host.

Labels stay what they are, so that what selects in the virtual cluster selects on the host. The one rule: every
selector that reaches the host is confined to its tenant and to virtual namespaces, because the host keeps all of a
tenant's pods in one namespace, and on a shared host neighbours may live next door.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from vcluster_syncer.model import Object, Tenant
from vcluster_syncer.naming import digest
from vcluster_syncer.ownership import EPOCH_LABEL, NAMESPACE_LABEL, PREFIX, TENANT_LABEL

NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
"""A label's value that others are greater or less than."""


def key_to_host(key: str) -> str:
    """Return a label's key on the host: the same, unless it would pass for one of ours."""
    return f"{PREFIX}label-{digest(key)}" if key.startswith(PREFIX) else key


def namespace_key(key: str) -> str:
    """Return the host pod's label that holds the label `key` of its virtual namespace."""
    return f"{PREFIX}namespace-label-{digest(key)}"


def of_namespace(namespace: Object | None) -> dict[str, str]:
    """Return the labels by which a host pod tells those of its virtual namespace, of which it is selected, too."""
    return {} if namespace is None else _of_spaces(namespace["metadata"].get("labels"))


def _of_spaces(labels: Object | None) -> dict[str, str]:
    return {namespace_key(key): value for key, value in (labels or {}).items()}


def to_host(labels: Object | None) -> dict[str, str]:
    """Return the host's labels for a user's labels."""
    return {key_to_host(key): value for key, value in (labels or {}).items()}


def everywhere(tenant: Tenant) -> dict[str, Any]:
    """Return what makes a selector of pods reach all namespaces of a tenant, where it has more than one."""
    return {"namespaceSelector": {"matchLabels": {TENANT_LABEL: tenant.name}}} if tenant.each_namespace else {}


def pairs_to_host(selector: Object, tenant: Tenant, namespace: str) -> dict[str, str]:
    """Confine a plain key-value selector, as Services have it."""
    return {**to_host(selector), **_of(tenant), NAMESPACE_LABEL: namespace}


def _of(tenant: Tenant) -> dict[str, str]:
    """The labels that all of a tenant's pods have."""
    present = {EPOCH_LABEL: str(tenant.epoch)} if tenant.selects_by_epoch else {}
    return {TENANT_LABEL: tenant.name, **present}


def selector_to_host(
    selector: Object | None, tenant: Tenant, namespaces: Iterable[str] | None, *, spaces: Object | None = None
) -> dict[str, Any] | None:
    """Confine a label selector to the tenant and to virtual `namespaces`, None meaning all of the tenant's.

    `spaces` is a selector of namespaces, of whose labels host pods have copies. A missing selector selects nothing, and
    stays missing.
    """
    if selector is None:
        return None
    expressions = _keyed(selector, key_to_host) + _keyed(spaces or {}, namespace_key)
    if namespaces is not None:
        expressions.append({"key": NAMESPACE_LABEL, "operator": "In", "values": sorted(set(namespaces))})
    elif tenant.drains_in_background:
        # What an ended lease left is on its way out, and has lost it.
        expressions.append({"key": NAMESPACE_LABEL, "operator": "Exists"})
    pairs = {**to_host(selector.get("matchLabels")), **_of_spaces((spaces or {}).get("matchLabels"))}
    confined: dict[str, Any] = {"matchLabels": {**pairs, **_of(tenant)}}
    if expressions:
        confined["matchExpressions"] = expressions
    return confined


def _keyed(selector: Object, key_of: Callable[[str], str]) -> list[dict[str, Any]]:
    return [{**expression, "key": key_of(expression["key"])} for expression in selector.get("matchExpressions") or ()]


def _holds(expression: Object, labels: Object) -> bool:
    key, values = expression["key"], list(expression.get("values") or ())
    match expression["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case "Gt" | "Lt" as operator:
            # In selectors of queries only.
            found, bound = labels.get(key, ""), values[0]
            if NUMBER.fullmatch(found):
                return int(found) > int(bound) if operator == "Gt" else int(found) < int(bound)
    return False


def matches(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Tell whether `labels` satisfy a label selector; a missing selector matches nothing, an empty one everything."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or ()
    )

"""Disruption budgets: so that whoever drains a node of the host spares the tenant's pods as the tenant asked.

The host knows no Deployment of the tenant's, so it can't tell how many pods there should be, and a share of them or a
number that may be missing would forbid every eviction there. The one rule: the virtual cluster counts, the host keeps
what that comes to, as a number of pods. The status stays the virtual controllers'.
"""

from __future__ import annotations

from typing import Any

from vcluster_syncer.model import POD_DISRUPTION_BUDGETS, Key, Kind, Object, Rule, Switch, Tenant
from vcluster_syncer.translate import carried, labels, metadata


def _number(virtual: Object) -> dict[str, Any]:
    spec, status = virtual["spec"], virtual.get("status") or {}
    asked = {name: spec[name] for name in ("minAvailable", "maxUnavailable") if name in spec}
    if isinstance(spec.get("minAvailable"), int):
        return asked
    is_counted = status.get("observedGeneration", 0) >= virtual["metadata"].get("generation", 1)
    return {"minAvailable": status["desiredHealthy"]} if is_counted and "desiredHealthy" in status else asked


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host budget of a virtual one."""
    spec = {name: value for name, value in virtual["spec"].items() if name not in {"minAvailable", "maxUnavailable"}}
    spec.update(_number(virtual))
    selector = labels.selector_to_host(spec.get("selector"), tenant, [key.namespace])
    return {
        "apiVersion": POD_DISRUPTION_BUDGETS.api_version,
        "kind": POD_DISRUPTION_BUDGETS.kind,
        "metadata": metadata.to_host(key, virtual, tenant, POD_DISRUPTION_BUDGETS),
        "spec": {**spec, **({"selector": selector} if selector is not None else {})},
    }


KIND = Kind(
    resource=POD_DISRUPTION_BUDGETS,
    reconcile=carried.by(POD_DISRUPTION_BUDGETS, to_host),
    host_key=carried.key_of(POD_DISRUPTION_BUDGETS),
    switch=Switch("to_host", "pod_disruption_budgets"),
    host_rules=(Rule.to_carry(POD_DISRUPTION_BUDGETS),),
)

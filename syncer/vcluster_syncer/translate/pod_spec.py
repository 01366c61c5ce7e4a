"""The host pod of a virtual pod, as it is created there.

A pod is made once; what may change later is in `pod_updates`. The one rule: the host must not need, nor find,
anything of the virtual cluster's that it does not have: ServiceAccounts, priority classes, runtime classes.
"""

from __future__ import annotations

import json
from typing import Any, Final

from vcluster_syncer import ownership
from vcluster_syncer.model import NAMESPACES, PODS, SECRETS, Key, Object, Tenant, World
from vcluster_syncer.naming import name_on_host
from vcluster_syncer.translate import (
    labels,
    metadata,
    node_names,
    pod_carried,
    pod_claims,
    pod_classes,
    pod_env,
    pod_hostname,
    pod_scheduling,
    pod_volumes,
    references,
)

GENERATION: Final = f"{ownership.PREFIX}generation"
"""Annotation: the virtual pod's generation that the host pod's spec is of."""
GATES: Final = f"{ownership.PREFIX}scheduling-gates"
"""Annotation: the scheduling gates that came from the virtual pod; others are the host's own."""
DEFAULT_SCHEDULER: Final = "default-scheduler"

_MOST_SEARCHES: Final = 32
_MOST_NAMESERVERS: Final = 3
# What names objects of the virtual cluster, was computed there from such, or can't be set at creation.
_DROPPED: Final = frozenset(
    {
        "ephemeralContainers",
        "evictionResponders",
        "nodeName",
        "overhead",
        "preemptionPolicy",
        "priority",
        "priorityClassName",
        "schedulingGroup",
        "serviceAccount",
        "serviceAccountName",
        "workloadRef",
        *pod_hostname.FIELDS,
    }
)


def _dns(pod: Object, tenant: Tenant) -> dict[str, Any]:
    spec = pod["spec"]
    policy, own = spec.get("dnsPolicy") or "ClusterFirst", spec.get("dnsConfig") or {}
    if policy in {"None", "Default"}:
        return {"dnsPolicy": policy, **({"dnsConfig": own} if own else {})}
    # On the host's network ClusterFirst means Default, and with no DNS service of the tenant's own the host's cluster
    # DNS would answer with the host's services: better to know none than the wrong ones.
    if tenant.dns_service_ip is None or (policy == "ClusterFirst" and spec.get("hostNetwork")):
        return {"dnsPolicy": "Default", **({"dnsConfig": own} if own else {})}
    domain, namespace = tenant.cluster_domain, pod["metadata"]["namespace"]
    servers = [tenant.dns_service_ip, *(own.get("nameservers") or ())]
    searches = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain, *(own.get("searches") or ())]
    options = {option["name"]: option for option in [{"name": "ndots", "value": "5"}, *(own.get("options") or ())]}
    return {
        "dnsPolicy": "None",
        "dnsConfig": {
            "nameservers": list(dict.fromkeys(servers))[:_MOST_NAMESERVERS],
            "searches": list(dict.fromkeys(searches))[:_MOST_SEARCHES],
            "options": list(options.values()),
        },
    }


def _lines(pairs: Object) -> str:
    # As the kubelet writes metadata.labels into a file.
    return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(pairs.items()))


def _asks_for(pod: Object, field: str) -> bool:
    for volume in pod["spec"].get("volumes") or ():
        holders = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for holder in holders:
            for item in (holder.get("downwardAPI") or {}).get("items") or ():
                if (item.get("fieldRef") or {}).get("fieldPath") == field:
                    return True
    return False


def notes(pod: Object) -> dict[str, str]:
    """Return the annotations of our own a host pod carries, besides those that say whose it is."""
    made = {
        pod_env.SERVICE_ACCOUNT_NOTE: references.service_account(pod),
        GENERATION: str(pod["metadata"].get("generation") or 0),
        pod_carried.TOLD: pod_carried.note(pod),
    }
    if _asks_for(pod, "metadata.labels"):
        made[pod_env.LABELS_NOTE] = _lines(ownership.labels_of(pod))
    if _asks_for(pod, "metadata.annotations"):
        made[pod_env.ANNOTATIONS_NOTE] = _lines(ownership.annotations_of(pod))
    return made


def containers_to_host(pod: Object, field: str, world: World) -> list[dict[str, Any]]:
    """Make the host's containers of one of the pod's lists of them."""
    services = pod_env.service_variables(pod, world)
    namespace = pod["metadata"]["namespace"]
    return [
        pod_env.container_to_host(container, namespace, services, world) for container in pod["spec"].get(field) or ()
    ]


def metadata_to_host(key: Key, pod: Object, world: World) -> dict[str, Any]:
    """Make the host pod's metadata."""
    namespace = world.virtual(NAMESPACES, Key("", key.namespace))
    return metadata.to_host(key, pod, world.tenant, PODS, notes=notes(pod), marks=labels.of_namespace(namespace))


def to_host(key: Key, pod: Object, world: World) -> dict[str, Any]:
    """Make the host pod of a virtual one."""
    tenant, source = world.tenant, pod["spec"]
    spec: dict[str, Any] = {name: value for name, value in source.items() if name not in _DROPPED}
    spec.update(automountServiceAccountToken=False, enableServiceLinks=False)
    spec.update(_dns(pod, tenant))
    spec.update(pod_hostname.to_host(pod, tenant))
    spec.update((field, value) for field, value in pod_scheduling.to_host(pod, world).items() if value)
    for field in ("initContainers", "containers"):
        if source.get(field):
            spec[field] = containers_to_host(pod, field, world)
    if source.get("volumes"):
        spec["volumes"] = pod_volumes.to_host(pod, tenant)
    if source.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [
            {**secret, "name": name_on_host(tenant, SECRETS.kind, key.namespace, secret["name"])}
            for secret in source["imagePullSecrets"]
            if secret.get("name")
        ]
    if tenant.private_nodes:
        # Nothing simulated runs containers, and the host would look for a class it does not have.
        spec.pop("runtimeClassName", None)
    spec.update(pod_classes.to_host(pod, world))
    spec.update(pod_claims.to_host(pod, world))
    if node := node_names.to_host(source.get("nodeName"), world):
        spec["nodeName"] = node
        if source.get("schedulerName", DEFAULT_SCHEDULER) != DEFAULT_SCHEDULER:
            spec["schedulerName"] = DEFAULT_SCHEDULER
    made = metadata_to_host(key, pod, world)
    if source.get("schedulingGates"):
        gates = json.dumps([gate["name"] for gate in source["schedulingGates"]])
        made["annotations"][GATES] = gates
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": spec}

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
from uuid import uuid4

import orjson

from vcluster_syncer.kube.requests import Request

PREFIX = "vcluster-barrier-"
_NAMESPACE = "kube-system"
_OTHER_NAMESPACE = "kube-public"
"""For the canary that would be in the way of others; neither namespace can be deleted."""
# Newer than whatever a test calls the default class.
_NEWEST = "2100-01-01T00:00:00Z"
_LONG_AGO = "2020-01-01T00:00:00Z"
_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_LEASES = {
    "apiGroups": ["coordination.k8s.io"],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["leases"],
    "scope": "Namespaced",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server said: the object of a success, or status and message of an error."""

    object: Mapping[str, Any] | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One canary, for changes of any of `collections`."""

    collections: frozenset[str]
    objects: Callable[[str], Sequence[tuple[str, dict[str, Any]]]]
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


def is_canary(key: bytes) -> bool:
    """Tell whether a key is one that `stored` made."""
    return key.rpartition(b"/")[2].startswith(PREFIX.encode())


def _object(api_version: str, kind: str, name: str, *, created: str = _LONG_AGO, **fields: Any) -> dict[str, Any]:
    annotations = fields.pop("annotations", {})
    namespace = fields.pop("namespace", "")
    metadata = {"name": name, "uid": str(uuid4()), "creationTimestamp": created, "generation": 1}
    if namespace:
        metadata["namespace"] = namespace
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def _dry_run(path: str, api_version: str, kind: str, name: str, **fields: Any) -> Request:
    body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": {PREFIX + "for": name}}}
    return Request(method="POST", path=f"{path}?dryRun=All", body=orjson.dumps({**body, **fields}))


def _refused(name: str, answer: Answer) -> bool:
    return answer.object is None and name in answer.message


# Authorization.


def _rule(name: str) -> list[dict[str, Any]]:
    return [{"apiGroups": [""], "resources": [name], "verbs": ["get"]}]


def _subject(name: str) -> list[dict[str, Any]]:
    return [{"kind": "User", "name": name, "apiGroup": _RBAC}]


def _cluster_roles(name: str) -> Sequence[tuple[str, dict[str, Any]]]:
    ref = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name}
    binding = _object(f"{_RBAC}/v1", "ClusterRoleBinding", name, subjects=_subject(name), roleRef=ref)
    return (
        (f"clusterroles/{name}", _object(f"{_RBAC}/v1", "ClusterRole", name, rules=_rule(name))),
        (f"clusterrolebindings/{name}", binding),
    )


def _roles(name: str) -> Sequence[tuple[str, dict[str, Any]]]:
    ref = {"apiGroup": _RBAC, "kind": "Role", "name": name}
    where = {"namespace": _NAMESPACE}
    binding = _object(f"{_RBAC}/v1", "RoleBinding", name, **where, subjects=_subject(f"{name}-ns"), roleRef=ref)
    return (
        (f"roles/{_NAMESPACE}/{name}", _object(f"{_RBAC}/v1", "Role", name, **where, rules=_rule(name))),
        (f"rolebindings/{_NAMESPACE}/{name}", binding),
    )


def _may_get(name: str, *, user: str, namespace: str = "") -> Request:
    attributes = {"verb": "get", "group": "", "resource": name, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return Request(method="POST", path=path, body=orjson.dumps(review))


def _allowed(_name: str, answer: Answer) -> bool:
    return answer.object is not None and bool(answer.object.get("status", {}).get("allowed"))


# Admission.


def _webhook(kind: str, collection: str) -> Callable[[str], Sequence[tuple[str, dict[str, Any]]]]:
    def objects(name: str) -> Sequence[tuple[str, dict[str, Any]]]:
        hook = {
            "name": f"{name}.invalid.example",
            # Nobody listens there, so whatever calls it is refused, at once.
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "rules": [_LEASES],
            "objectSelector": {"matchLabels": {PREFIX + "for": name}},
            "namespaceSelector": {},
            "failurePolicy": "Fail",
            "matchPolicy": "Exact",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 1,
            **({"reinvocationPolicy": "Never"} if kind.startswith("Mutating") else {}),
        }
        return ((f"{collection}/{name}", _object(f"{_ADMISSION}/v1", kind, name, webhooks=[hook])),)

    return objects


def _constraints(name: str) -> dict[str, Any]:
    return {
        "resourceRules": [_LEASES],
        "matchPolicy": "Exact",
        "namespaceSelector": {},
        "objectSelector": {"matchLabels": {PREFIX + "for": name}},
    }


def _validating_policy(name: str) -> Sequence[tuple[str, dict[str, Any]]]:
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": _constraints(name),
        "validations": [{"expression": "false", "message": name}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return (
        (
            f"validatingadmissionpolicies/{name}",
            _object(f"{_ADMISSION}/v1", "ValidatingAdmissionPolicy", name, spec=policy),
        ),
        (
            f"validatingadmissionpolicybindings/{name}",
            _object(f"{_ADMISSION}/v1", "ValidatingAdmissionPolicyBinding", name, spec=binding),
        ),
    )


def _mutating_policy(name: str) -> Sequence[tuple[str, dict[str, Any]]]:
    policy = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": _constraints(name),
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {
                    "expression": f'Object{{metadata: Object.metadata{{annotations: {{"barrier": "{name}"}}}}}}'
                },
            }
        ],
    }
    version = f"{_ADMISSION}/v1beta1"
    return (
        (f"mutatingadmissionpolicies/{name}", _object(version, "MutatingAdmissionPolicy", name, spec=policy)),
        (
            f"mutatingadmissionpolicybindings/{name}",
            _object(version, "MutatingAdmissionPolicyBinding", name, spec={"policyName": name}),
        ),
    )


def _annotated(name: str, answer: Answer) -> bool:
    found = answer.object or {}
    return bool((found.get("metadata", {}).get("annotations") or {}).get("barrier") == name)


def dry_run_lease(name: str = PREFIX + "probe", *, namespace: str = _NAMESPACE) -> Request:
    """Ask whether an object could be created in `namespace`, without creating it."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    return _dry_run(path, "coordination.k8s.io/v1", "Lease", name, spec={})


def node_port_service(name: str) -> tuple[Request, Request]:
    """Create a Service that has a node port, and delete it again."""
    path = f"/api/v1/namespaces/{_NAMESPACE}/services"
    spec = {"type": "NodePort", "ports": [{"port": 1}]}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    return (
        Request(method="POST", path=path, body=orjson.dumps(body)),
        Request(method="DELETE", path=f"{path}/{name}"),
    )


def node_port_key(name: str) -> bytes:
    """The key of the Service that `node_port_service` creates."""
    return f"services/specs/{_NAMESPACE}/{name}".encode()


def _limit_range(name: str) -> Sequence[tuple[str, dict[str, Any]]]:
    limits = [{"type": "PersistentVolumeClaim", "max": {"storage": "1"}}]
    limited = _object("v1", "LimitRange", name, namespace=_OTHER_NAMESPACE, spec={"limits": limits})
    return ((f"limitranges/{_OTHER_NAMESPACE}/{name}", limited),)


def _quota(name: str) -> Sequence[tuple[str, dict[str, Any]]]:
    hard = {"count/configmaps": "0"}
    quota = _object(
        "v1",
        "ResourceQuota",
        name,
        namespace=_NAMESPACE,
        spec={"hard": hard},
        status={"hard": hard, "used": {"count/configmaps": "0"}},
    )
    return ((f"resourcequotas/{_NAMESPACE}/{name}", quota),)


def _config_map(name: str) -> Request:
    return _dry_run(f"/api/v1/namespaces/{_NAMESPACE}/configmaps", "v1", "ConfigMap", name)


def _claim(namespace: str) -> Callable[[str], Request]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    return lambda name: _dry_run(path, "v1", "PersistentVolumeClaim", name, spec=spec)


def _over_limit(_name: str, answer: Answer) -> bool:
    return answer.object is None and "maximum storage usage per PersistentVolumeClaim is 1, " in answer.message


def _storage_class(name: str) -> Sequence[tuple[str, dict[str, Any]]]:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    made = _object("storage.k8s.io/v1", "StorageClass", name, created=_NEWEST, annotations=default)
    return ((f"storageclasses/{name}", {**made, "provisioner": "example.invalid/none", "reclaimPolicy": "Delete"}),)


def _ingress_class(name: str) -> Sequence[tuple[str, dict[str, Any]]]:
    default = {"ingressclass.kubernetes.io/is-default-class": "true"}
    made = _object("networking.k8s.io/v1", "IngressClass", name, created=_NEWEST, annotations=default)
    return ((f"ingressclasses/{name}", {**made, "spec": {"controller": "example.invalid/none"}}),)


def _ingress(name: str) -> Request:
    backend = {"service": {"name": "none", "port": {"number": 80}}}
    path = f"/apis/networking.k8s.io/v1/namespaces/{_NAMESPACE}/ingresses"
    return _dry_run(path, "networking.k8s.io/v1", "Ingress", name, spec={"defaultBackend": backend})


def _of_class(field: str) -> Callable[[str, Answer], bool]:
    def seen(name: str, answer: Answer) -> bool:
        return answer.object is not None and answer.object.get("spec", {}).get(field) == name

    return seen


def _priority_class(name: str) -> Sequence[tuple[str, dict[str, Any]]]:
    made = _object("scheduling.k8s.io/v1", "PriorityClass", name)
    return ((f"priorityclasses/{name}", {**made, "value": 1, "preemptionPolicy": "Never"}),)


def _runtime_class(name: str) -> Sequence[tuple[str, dict[str, Any]]]:
    return ((f"runtimeclasses/{name}", {**_object("node.k8s.io/v1", "RuntimeClass", name), "handler": "none"}),)


def _pod(field: str) -> Callable[[str], Request]:
    containers = [{"name": "none", "image": "none.invalid/none"}]
    path = f"/api/v1/namespaces/{_NAMESPACE}/pods"
    return lambda name: _dry_run(path, "v1", "Pod", name, spec={"containers": containers, field: name})


CANARIES: tuple[Canary, ...] = (
    Canary(
        collections=frozenset({"clusterroles", "clusterrolebindings"}),
        objects=_cluster_roles,
        ask=lambda name: _may_get(name, user=name),
        seen=_allowed,
    ),
    Canary(
        collections=frozenset({"roles", "rolebindings"}),
        objects=_roles,
        ask=lambda name: _may_get(name, user=f"{name}-ns", namespace=_NAMESPACE),
        seen=_allowed,
    ),
    Canary(
        collections=frozenset({"validatingwebhookconfigurations"}),
        objects=_webhook("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
        ask=dry_run_lease,
        seen=lambda name, answer: _refused(f"{name}.invalid.example", answer),
    ),
    Canary(
        collections=frozenset({"mutatingwebhookconfigurations"}),
        objects=_webhook("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
        ask=dry_run_lease,
        seen=lambda name, answer: _refused(f"{name}.invalid.example", answer),
    ),
    Canary(
        collections=frozenset({"validatingadmissionpolicies", "validatingadmissionpolicybindings"}),
        objects=_validating_policy,
        ask=dry_run_lease,
        # The name alone would not do: any refusal quotes the name of the Lease.
        seen=lambda name, answer: _refused(f"denied request: {name}", answer),
    ),
    Canary(
        collections=frozenset({"mutatingadmissionpolicies", "mutatingadmissionpolicybindings"}),
        objects=_mutating_policy,
        ask=dry_run_lease,
        seen=_annotated,
    ),
    Canary(
        collections=frozenset({"limitranges"}),
        objects=_limit_range,
        ask=_claim(_OTHER_NAMESPACE),
        seen=_over_limit,
    ),
    Canary(
        collections=frozenset({"resourcequotas"}),
        objects=_quota,
        ask=_config_map,
        seen=lambda name, answer: _refused(f"exceeded quota: {name}", answer),
    ),
    Canary(
        collections=frozenset({"storageclasses"}),
        objects=_storage_class,
        ask=_claim(_NAMESPACE),
        seen=_of_class("storageClassName"),
    ),
    Canary(
        collections=frozenset({"ingressclasses"}),
        objects=_ingress_class,
        ask=_ingress,
        seen=_of_class("ingressClassName"),
    ),
    Canary(
        collections=frozenset({"priorityclasses"}),
        objects=_priority_class,
        ask=_pod("priorityClassName"),
        seen=_of_class("priorityClassName"),
    ),
    Canary(
        collections=frozenset({"runtimeclasses"}),
        objects=_runtime_class,
        ask=_pod("runtimeClassName"),
        seen=_of_class("runtimeClassName"),
    ),
)

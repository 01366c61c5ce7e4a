"""What canaries store, and what is asked to see them at work.

The one rule: pure, and matching nothing but our own dry-run requests: names and labels are random, namespaces such that
nobody can delete them, dates such that nobody is newer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import orjson

from vcluster_syncer import ownership
from vcluster_syncer.kube.requests import Request

PREFIX = "vcluster-barrier-"
NAMESPACE = "kube-system"
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

Stored = Sequence[tuple[str, dict[str, Any]]]
"""Keys and objects, in the order in which they are written."""


def _stored_object(
    api_version: str, kind: str, name: str, *, created: str = _LONG_AGO, **fields: Any
) -> dict[str, Any]:
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


# Authorization.


def _rule(name: str) -> list[dict[str, Any]]:
    return [{"apiGroups": [""], "resources": [name], "verbs": ["get"]}]


def _subject(name: str) -> list[dict[str, Any]]:
    return [{"kind": "User", "name": name, "apiGroup": _RBAC}]


def cluster_roles(name: str) -> Stored:
    """Store a ClusterRole and its binding, for a user who does not exist."""
    ref = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name}
    binding = _stored_object(f"{_RBAC}/v1", "ClusterRoleBinding", name, subjects=_subject(name), roleRef=ref)
    return (
        (f"clusterroles/{name}", _stored_object(f"{_RBAC}/v1", "ClusterRole", name, rules=_rule(name))),
        (f"clusterrolebindings/{name}", binding),
    )


def roles(name: str) -> Stored:
    """Store a Role and its binding, for a user who does not exist."""
    ref = {"apiGroup": _RBAC, "kind": "Role", "name": name}
    where = {"namespace": NAMESPACE}
    binding = _stored_object(f"{_RBAC}/v1", "RoleBinding", name, **where, subjects=_subject(f"{name}-ns"), roleRef=ref)
    return (
        (f"roles/{NAMESPACE}/{name}", _stored_object(f"{_RBAC}/v1", "Role", name, **where, rules=_rule(name))),
        (f"rolebindings/{NAMESPACE}/{name}", binding),
    )


def may_get(name: str, *, user: str, namespace: str = "") -> Request:
    """Ask whether a user may get what the roles named `name` allow."""
    attributes = {"verb": "get", "group": "", "resource": name, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return Request(method="POST", path=path, body=orjson.dumps(review))


# Admission.


def webhook(kind: str, collection: str) -> Callable[[str], Stored]:
    """Make what stores a webhook configuration that calls nobody, and fails by it."""

    def objects(name: str) -> Stored:
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
        return ((f"{collection}/{name}", _stored_object(f"{_ADMISSION}/v1", kind, name, webhooks=[hook])),)

    return objects


def _constraints(name: str) -> dict[str, Any]:
    return {
        "resourceRules": [_LEASES],
        "matchPolicy": "Exact",
        "namespaceSelector": {},
        "objectSelector": {"matchLabels": {PREFIX + "for": name}},
    }


def validating_policy(name: str) -> Stored:
    """Store a policy that refuses, and its binding."""
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": _constraints(name),
        "validations": [{"expression": "false", "message": name}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return (
        (
            f"validatingadmissionpolicies/{name}",
            _stored_object(f"{_ADMISSION}/v1", "ValidatingAdmissionPolicy", name, spec=policy),
        ),
        (
            f"validatingadmissionpolicybindings/{name}",
            _stored_object(f"{_ADMISSION}/v1", "ValidatingAdmissionPolicyBinding", name, spec=binding),
        ),
    )


def mutating_policy(name: str) -> Stored:
    """Store a policy that annotates, and its binding."""
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
        (f"mutatingadmissionpolicies/{name}", _stored_object(version, "MutatingAdmissionPolicy", name, spec=policy)),
        (
            f"mutatingadmissionpolicybindings/{name}",
            _stored_object(version, "MutatingAdmissionPolicyBinding", name, spec={"policyName": name}),
        ),
    )


def dry_run_lease(name: str = PREFIX + "probe", *, namespace: str = NAMESPACE) -> Request:
    """Ask whether an object could be created in `namespace`, without creating it."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    return _dry_run(path, "coordination.k8s.io/v1", "Lease", name, spec={})


def node_port_service(name: str) -> tuple[Request, Request]:
    """Create a Service that has a node port, and delete it again."""
    path = f"/api/v1/namespaces/{NAMESPACE}/services"
    spec = {"type": "NodePort", "ports": [{"port": 1}]}
    metadata = {"name": name, "labels": {ownership.CANARY: "true"}}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    return (
        Request(method="POST", path=path, body=orjson.dumps(body)),
        Request(method="DELETE", path=f"{path}/{name}"),
    )


def node_port_key(name: str) -> bytes:
    """The key of the Service that `node_port_service` creates."""
    return f"services/specs/{NAMESPACE}/{name}".encode()


def quota(name: str) -> Stored:
    """Store a quota that is used up."""
    hard = {"count/configmaps": "0"}
    quota = _stored_object(
        "v1",
        "ResourceQuota",
        name,
        namespace=NAMESPACE,
        spec={"hard": hard},
        status={"hard": hard, "used": {"count/configmaps": "0"}},
    )
    return ((f"resourcequotas/{NAMESPACE}/{name}", quota),)


def unaccounted(name: str) -> Stored:
    """Store a quota of which nobody has told yet how much is used."""
    quota = _stored_object(
        "v1", "ResourceQuota", name, namespace=NAMESPACE, spec={"hard": {"count/configmaps": "9999"}}
    )
    return ((f"resourcequotas/{NAMESPACE}/{name}", quota),)


def orphan(name: str) -> Stored:
    """Store a ConfigMap whose owner does not exist: garbage."""
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": name + "-owner", "uid": str(uuid4())}
    stored = _stored_object("v1", "ConfigMap", name, namespace=NAMESPACE)
    stored["metadata"]["ownerReferences"] = [owner]
    return ((f"configmaps/{NAMESPACE}/{name}", stored),)


def look_at(plural: str, name: str) -> Request:
    """Get the canary `name` of a core collection."""
    return Request(method="GET", path=f"/api/v1/namespaces/{NAMESPACE}/{plural}/{name}")


def config_map(name: str) -> Request:
    """Ask whether a ConfigMap could be created."""
    return _dry_run(f"/api/v1/namespaces/{NAMESPACE}/configmaps", "v1", "ConfigMap", name)


def claim(namespace: str) -> Callable[[str], Request]:
    """Make what asks for a claim that could be created in `namespace`."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    return lambda name: _dry_run(path, "v1", "PersistentVolumeClaim", name, spec=spec)


def storage_class(name: str) -> Stored:
    """Store a default StorageClass."""
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    made = _stored_object("storage.k8s.io/v1", "StorageClass", name, created=_NEWEST, annotations=default)
    return ((f"storageclasses/{name}", {**made, "provisioner": "example.invalid/none", "reclaimPolicy": "Delete"}),)


def ingress_class(name: str) -> Stored:
    """Store a default IngressClass."""
    default = {"ingressclass.kubernetes.io/is-default-class": "true"}
    made = _stored_object("networking.k8s.io/v1", "IngressClass", name, created=_NEWEST, annotations=default)
    return ((f"ingressclasses/{name}", {**made, "spec": {"controller": "example.invalid/none"}}),)


def ingress(name: str) -> Request:
    """Ask for an Ingress that could be created, without a class."""
    backend = {"service": {"name": "none", "port": {"number": 80}}}
    path = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses"
    return _dry_run(path, "networking.k8s.io/v1", "Ingress", name, spec={"defaultBackend": backend})


def priority_class(name: str) -> Stored:
    """Store a PriorityClass."""
    made = _stored_object("scheduling.k8s.io/v1", "PriorityClass", name)
    return ((f"priorityclasses/{name}", {**made, "value": 1, "preemptionPolicy": "Never"}),)


def runtime_class(name: str) -> Stored:
    """Store a RuntimeClass."""
    return ((f"runtimeclasses/{name}", {**_stored_object("node.k8s.io/v1", "RuntimeClass", name), "handler": "none"}),)


def pod(field: str) -> Callable[[str], Request]:
    """Make what asks for a pod that could be created, with `field` naming its class."""
    containers = [{"name": "none", "image": "none.invalid/none"}]
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    return lambda name: _dry_run(path, "v1", "Pod", name, spec={"containers": containers, field: name})

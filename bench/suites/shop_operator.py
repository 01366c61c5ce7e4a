"""An operator in kopf: each Shop becomes a Deployment, a Service, a ConfigMap and a PriorityClass.

What is in its namespace is owned by the Shop, so the garbage collector takes it along; a PriorityClass belongs to no
namespace, so a finalizer sees to it. The one rule: nothing in here knows that it is measured.
"""

from __future__ import annotations

from typing import Any

import kopf
from kubernetes import client, config

from bench.suites.objects import Object

GROUP, VERSION, PLURAL = SHOPS = ("bench.example.com", "v1", "shops")
_MANAGER = "shop-operator"
_LABELS = {"app.kubernetes.io/managed-by": _MANAGER}
_APPLY: dict[str, Any] = {"field_manager": _MANAGER, "force": True, "_content_type": "application/apply-patch+yaml"}


Namespace = Any
"""A text here; for kopf in general it may be None."""


def definition() -> Object:
    """The definition of Shops."""
    spec = {
        "type": "object",
        "required": ["image", "greeting"],
        "properties": {
            "image": {"type": "string"},
            "greeting": {"type": "string"},
            "replicas": {"type": "integer", "minimum": 0, "default": 1},
        },
    }
    status = {
        "type": "object",
        "properties": {
            "url": {"type": "string"},
            "observedGeneration": {"type": "integer"},
            "readyReplicas": {"type": "integer"},
        },
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
    }
    names = {"kind": "Shop", "plural": PLURAL, "singular": "shop"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


@kopf.on.login()
def login(**arguments: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_kubeconfig(**arguments)


@kopf.on.startup()
def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    settings.persistence.finalizer = f"{GROUP}/shop"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    memo.api = config.new_client_from_config()  # type: ignore[no-untyped-call]


@kopf.on.cleanup()
def stop(memo: kopf.Memo, **_: Any) -> None:
    memo.api.close()


@kopf.on.create(*SHOPS)
@kopf.on.update(*SHOPS, field="spec")
@kopf.on.resume(*SHOPS)
def reconcile(
    body: kopf.Body,
    spec: kopf.Spec,
    meta: kopf.Meta,
    name: str,
    namespace: Namespace,
    patch: kopf.Patch,
    memo: kopf.Memo,
    **_: Any,
) -> None:
    """Bring what belongs to a Shop to what it says."""
    priority_class = f"{namespace}-{name}"
    owned = deployment, service, config_map = _deployment(name, priority_class, spec), _service(name), _page(name, spec)
    kopf.adopt(owned, owner=body)
    client.SchedulingV1Api(memo.api).patch_priority_class(priority_class, _priority_class(priority_class), **_APPLY)
    core = client.CoreV1Api(memo.api)
    core.patch_namespaced_config_map(name, namespace, config_map, **_APPLY)
    client.AppsV1Api(memo.api).patch_namespaced_deployment(name, namespace, deployment, **_APPLY)
    core.patch_namespaced_service(name, namespace, service, **_APPLY)
    patch.status["url"] = f"http://{name}.{namespace}.svc"
    patch.status["observedGeneration"] = meta["generation"]
    kopf.info(body, reason="Reconciled", message=f"{spec['replicas']} replicas of {spec['image']}")


@kopf.on.event("apps", "v1", "deployments", labels=_LABELS)
def observe(status: kopf.Status, name: str, namespace: Namespace, memo: kopf.Memo, **_: Any) -> None:
    """Tell in the status of a Shop how many of its pods are ready."""
    told = {"status": {"readyReplicas": status.get("readyReplicas", 0)}}
    try:
        client.CustomObjectsApi(memo.api).patch_namespaced_custom_object_status(
            GROUP, VERSION, namespace, PLURAL, name, told
        )
    except client.ApiException as error:
        if error.status != 404:  # the Shop has been deleted, and its Deployment goes too
            raise


@kopf.on.delete(*SHOPS)
def remove(name: str, namespace: Namespace, memo: kopf.Memo, **_: Any) -> None:
    """Remove what the garbage collector doesn't."""
    try:
        client.SchedulingV1Api(memo.api).delete_priority_class(f"{namespace}-{name}")
    except client.ApiException as error:
        if error.status != 404:
            raise


def _priority_class(name: str) -> Object:
    metadata = {"name": name, "labels": _LABELS}
    return {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata, "value": 1000}


def _deployment(name: str, priority_class: str, spec: kopf.Spec) -> Object:
    selector = {"app.kubernetes.io/name": name}
    volume = {"name": "pages", "configMap": {"name": name}}
    mount = {"name": "pages", "mountPath": "/pages"}
    container = {"name": "web", "image": spec["image"], "volumeMounts": [mount]}
    pod = {"containers": [container], "volumes": [volume], "priorityClassName": priority_class}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": _LABELS},
        "spec": {
            "replicas": spec["replicas"],
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": selector}, "spec": pod},
        },
    }


def _service(name: str) -> Object:
    spec = {"selector": {"app.kubernetes.io/name": name}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": _LABELS}, "spec": spec}


def _page(name: str, spec: kopf.Spec) -> Object:
    metadata = {"name": name, "labels": _LABELS}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"index.html": spec["greeting"]}}

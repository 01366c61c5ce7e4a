"""An operator for WebApps: each becomes a Deployment, a Service and a PriorityClass.

The Deployment and the Service are owned by their WebApp, so the garbage collector takes them along. A PriorityClass is
cluster-scoped and can't be owned by something in a namespace: it goes by a finalizer.
"""

import datetime

import kopf
from kubernetes import config
from kubernetes.client import (
    ApiClient,
    ApiException,
    AppsV1Api,
    Configuration,
    CoreV1Api,
    CustomObjectsApi,
    SchedulingV1Api,
)

GROUP, VERSION, PLURAL = WEBAPPS = ("example.org", "v1", "webapps")
MANAGER = "webapp-operator"
LABELS = {"app.kubernetes.io/managed-by": MANAGER}
APPLY = {"field_manager": MANAGER, "force": True, "_content_type": "application/apply-patch+yaml"}


@kopf.on.login()
def login(**kwargs):
    return kopf.login_with_kubeconfig(**kwargs) or kopf.login_with_service_account(**kwargs)


@kopf.on.startup()
def start(settings, memo, **_):
    settings.persistence.finalizer = f"{GROUP}/webapp"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    configuration = Configuration()
    config.load_config(client_configuration=configuration)
    memo.api = ApiClient(configuration)


@kopf.on.cleanup()
def stop(memo, **_):
    memo.api.close()


@kopf.on.create(*WEBAPPS)
@kopf.on.update(*WEBAPPS, field="spec")
@kopf.on.resume(*WEBAPPS)
def reconcile(body, spec, meta, name, namespace, patch, memo, **_):
    """Bring what belongs to a WebApp to what it says: new, changed, or there when the operator starts."""
    problem = problem_of(spec["image"])
    verdict = ("False", "ImageRefused", problem) if problem else ("True", "ImageAccepted", spec["image"])
    set_condition(memo.api, namespace, name, "Accepted", *verdict, generation=meta["generation"])
    if problem:
        kopf.warn(body, reason="ImageRefused", message=problem)
        raise kopf.PermanentError(problem)

    priority_class = priority_class_of(name, namespace, spec)
    deployment, service = deployment_of(name, namespace, spec), service_of(name, spec)
    kopf.adopt([deployment, service], owner=body)
    SchedulingV1Api(memo.api).patch_priority_class(f"{namespace}-{name}", priority_class, **APPLY)
    AppsV1Api(memo.api).patch_namespaced_deployment(name, namespace, deployment, **APPLY)
    CoreV1Api(memo.api).patch_namespaced_service(name, namespace, service, **APPLY)

    patch.status["url"] = f"http://{name}.{namespace}.svc:{spec['port']}"
    kopf.info(body, reason="Reconciled", message=f"{spec['replicas']} replicas of {spec['image']}")


@kopf.on.delete(*WEBAPPS)
def remove(name, namespace, memo, **_):
    """Remove what the garbage collector doesn't."""
    try:
        SchedulingV1Api(memo.api).delete_priority_class(f"{namespace}-{name}")
    except ApiException as error:
        if error.status != 404:
            raise


@kopf.on.event("apps", "v1", "deployments", labels=LABELS)
def observe(status, name, namespace, memo, **_):
    """Tell in the status of a WebApp how its Deployment is doing."""
    replicas, ready = status.get("replicas", 0), status.get("readyReplicas", 0)
    conditions = {each["type"]: each["status"] for each in status.get("conditions", ())}
    available = conditions.get("Available", "Unknown")
    reason = {"True": "EnoughPods", "False": "TooFewPods"}.get(available, "NotSeenYet")
    verdict = (available, reason, f"{ready} of {replicas} pods are ready")
    set_condition(memo.api, namespace, name, "Available", *verdict, replicas=replicas, readyReplicas=ready)


def set_condition(api, namespace, name, type_, status, reason, message, *, generation=None, **counts):
    """Write one condition, and what is known along with it.

    Each condition has a field manager of its own, so the handlers never overwrite what another one has seen.
    """
    webapps = CustomObjectsApi(api)
    try:
        webapp = webapps.get_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)
    except ApiException as error:
        if error.status == 404:
            return  # deleted in the meantime
        raise
    before = [each for each in webapp.get("status", {}).get("conditions", ()) if each["type"] == type_]
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    since = before[0]["lastTransitionTime"] if before and before[0]["status"] == status else now
    condition = {"type": type_, "status": status, "reason": reason, "message": message, "lastTransitionTime": since}
    if generation is not None:
        condition["observedGeneration"] = generation
    body = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "WebApp",
        "metadata": {"name": name},
        "status": {"conditions": [condition], **counts},
    }
    how = {**APPLY, "field_manager": f"{MANAGER}-{type_.lower()}"}
    webapps.patch_namespaced_custom_object_status(GROUP, VERSION, namespace, PLURAL, name, body, **how)


def problem_of(image):
    """What is wrong with an image; None if nothing is."""
    tag = image.rpartition("/")[2].partition(":")[2]
    if tag in ("", "latest"):
        return f"{image!r} may be another image tomorrow; name a version"
    return None


def priority_class_of(name, namespace, spec):
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": f"{namespace}-{name}", "labels": LABELS},
        "value": spec["priority"],
        "description": f"WebApp {name} in namespace {namespace}",
    }


def deployment_of(name, namespace, spec):
    selector = {"app.kubernetes.io/name": name}
    container = {"name": "web", "image": spec["image"], "ports": [{"containerPort": spec["port"]}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": LABELS},
        "spec": {
            "replicas": spec["replicas"],
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": selector},
                "spec": {"containers": [container], "priorityClassName": f"{namespace}-{name}"},
            },
        },
    }


def service_of(name, spec):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": LABELS},
        "spec": {"selector": {"app.kubernetes.io/name": name}, "ports": [{"port": spec["port"]}]},
    }

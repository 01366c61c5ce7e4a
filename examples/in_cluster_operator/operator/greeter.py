"""An operator for Greetings: each becomes a ConfigMap with the page that it says."""

import kopf
import webhooks
from kubernetes import config
from kubernetes.client import CoreV1Api

GREETINGS = ("example.org", "v1", "greetings")
APPLY = {"field_manager": "greeter", "force": True, "_content_type": "application/apply-patch+yaml"}


@kopf.on.startup()
def start(settings, memo, **_):
    settings.persistence.finalizer = "example.org/greeter"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix="example.org")
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix="example.org")
    settings.posting.enabled = False
    config.load_incluster_config()
    memo.api = CoreV1Api()
    memo.webhooks = webhooks.serve(9443, certificate="/certificates/tls.crt", key="/certificates/tls.key")


@kopf.on.cleanup()
def stop(memo, **_):
    memo.webhooks.shutdown()


@kopf.on.create(*GREETINGS)
@kopf.on.update(*GREETINGS, field="spec")
@kopf.on.resume(*GREETINGS)
def greet(spec, name, namespace, body, patch, memo, **_):
    """Bring the page of a Greeting to what it says."""
    text = f"{spec['word']}, {spec['who']}!"
    page = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"page": text}}
    kopf.adopt(page, owner=body)
    memo.api.patch_namespaced_config_map(name, namespace, page, **APPLY)
    patch.status["page"] = text

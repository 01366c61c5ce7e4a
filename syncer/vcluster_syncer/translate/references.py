"""Which objects a pod names: ConfigMaps, Secrets, claims, its ServiceAccount and its classes.

The one rule: a reference counts whether or not the object exists or is optional: an object that comes later must
reach the host, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from vcluster_syncer.model import (
    CONFIGMAPS,
    PERSISTENT_VOLUME_CLAIMS,
    PRIORITY_CLASSES,
    RESOURCE_CLAIMS,
    RUNTIME_CLASSES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Key,
    Object,
    Reference,
)
from vcluster_syncer.translate import pod_claims

CONTAINER_LISTS: Final = ("initContainers", "containers", "ephemeralContainers")

SECRET_REFERENCES: Final = (
    ("azureFile", None, "secretName"),
    ("cephfs", "secretRef", "name"),
    ("cinder", "secretRef", "name"),
    ("csi", "nodePublishSecretRef", "name"),
    ("flexVolume", "secretRef", "name"),
    ("iscsi", "secretRef", "name"),
    ("rbd", "secretRef", "name"),
    ("scaleIO", "secretRef", "name"),
    ("storageos", "secretRef", "name"),
)
"""Where volumes name a Secret: the volume's type, the field with the reference (None: the type itself), the name."""


def containers(pod: Object) -> Iterator[Object]:
    """Yield all containers of a pod, of every sort."""
    for field in CONTAINER_LISTS:
        yield from pod["spec"].get(field) or ()


def token_sources(pod: Object) -> Iterator[tuple[str, Object]]:
    """Yield the ServiceAccount tokens a pod asks for: a name for each that stays the same, and the source."""
    for volume in pod["spec"].get("volumes") or ():
        for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            if source.get("serviceAccountToken") is not None:
                yield f"{volume['name']}.{number}", source["serviceAccountToken"]


def service_account(pod: Object) -> str:
    """Return the name of the ServiceAccount a virtual pod runs as."""
    return pod["spec"].get("serviceAccountName") or "default"


def ephemeral_claim(pod: Object, volume: Object) -> str:
    """Return the name of the claim that the virtual cluster's controller makes for an ephemeral volume."""
    return f"{pod['metadata']['name']}-{volume['name']}"


def _named(pod: Object) -> Iterator[tuple[Any, str | None]]:
    yield SERVICE_ACCOUNTS, service_account(pod)
    yield PRIORITY_CLASSES, pod["spec"].get("priorityClassName")
    yield RUNTIME_CLASSES, pod["spec"].get("runtimeClassName")
    for claim in pod_claims.references(pod):
        yield RESOURCE_CLAIMS, claim
    for container in containers(pod):
        for source in container.get("envFrom") or ():
            yield CONFIGMAPS, (source.get("configMapRef") or {}).get("name")
            yield SECRETS, (source.get("secretRef") or {}).get("name")
        for variable in container.get("env") or ():
            value = variable.get("valueFrom") or {}
            yield CONFIGMAPS, (value.get("configMapKeyRef") or {}).get("name")
            yield SECRETS, (value.get("secretKeyRef") or {}).get("name")
    for secret in pod["spec"].get("imagePullSecrets") or ():
        yield SECRETS, secret.get("name")
    for volume in pod["spec"].get("volumes") or ():
        yield CONFIGMAPS, (volume.get("configMap") or {}).get("name")
        yield SECRETS, (volume.get("secret") or {}).get("secretName")
        yield PERSISTENT_VOLUME_CLAIMS, (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if volume.get("ephemeral") is not None:
            yield PERSISTENT_VOLUME_CLAIMS, ephemeral_claim(pod, volume)
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield CONFIGMAPS, (source.get("configMap") or {}).get("name")
            yield SECRETS, (source.get("secret") or {}).get("name")
        for kind, holder, field in SECRET_REFERENCES:
            inside = volume.get(kind) or {}
            yield SECRETS, ((inside.get(holder) or {}) if holder else inside).get(field)


def of_pod(pod: Object) -> frozenset[Reference]:
    """Return every object a pod uses."""
    namespace = pod["metadata"]["namespace"]
    return frozenset(
        (resource, Key(namespace if resource.namespaced else "", name)) for resource, name in _named(pod) if name
    )

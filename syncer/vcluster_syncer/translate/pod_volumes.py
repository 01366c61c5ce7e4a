"""A pod's volumes on the host: the same files from renamed sources.

ServiceAccount tokens are the exception: the host can't issue the virtual cluster's, so they come from a Secret the
syncer keeps (see `pod_tokens`).
"""

from __future__ import annotations

from typing import Any

from vcluster_syncer.model import CONFIGMAPS, PERSISTENT_VOLUME_CLAIMS, PODS, SECRETS, Object, Resource, Tenant
from vcluster_syncer.naming import name_on_host
from vcluster_syncer.ownership import TOKENS_ROLE
from vcluster_syncer.translate.pod_env import field_to_host
from vcluster_syncer.translate.references import SECRET_REFERENCES, ephemeral_claim


def _downward(item: Object) -> Object:
    return {**item, "fieldRef": field_to_host(item["fieldRef"])} if item.get("fieldRef") else item


def _token_file(key: str, token: Object) -> Object:
    # Whose file it is can be said since 1.37.
    return {"key": key, "path": token["path"], **({"user": token["user"]} if "user" in token else {})}


def _projected(source: Object, token_key: str, pod: Object, tenant: Tenant) -> Object:
    namespace = pod["metadata"]["namespace"]
    made = dict(source)
    for resource, field in ((CONFIGMAPS, "configMap"), (SECRETS, "secret")):
        if made.get(field):
            name = name_on_host(tenant, resource.kind, namespace, made[field]["name"])
            made[field] = {**made[field], "name": name}
    if made.get("downwardAPI"):
        items = [_downward(item) for item in made["downwardAPI"].get("items") or ()]
        made["downwardAPI"] = {**made["downwardAPI"], "items": items}
    token = made.pop("serviceAccountToken", None)
    if token is not None:
        secret = name_on_host(tenant, PODS.kind, namespace, pod["metadata"]["name"], role=TOKENS_ROLE)
        made["secret"] = {"name": secret, "items": [_token_file(token_key, token)]}
    return made


def _volume(volume: Object, pod: Object, tenant: Tenant) -> dict[str, Any]:
    namespace = pod["metadata"]["namespace"]
    made = dict(volume)

    def rename(resource: Resource, holder: str, field: str) -> None:
        if name := (made.get(holder) or {}).get(field):
            made[holder] = {**made[holder], field: name_on_host(tenant, resource.kind, namespace, name)}

    rename(CONFIGMAPS, "configMap", "name")
    rename(SECRETS, "secret", "secretName")
    rename(PERSISTENT_VOLUME_CLAIMS, "persistentVolumeClaim", "claimName")
    if made.pop("ephemeral", None) is not None:
        claim = name_on_host(tenant, PERSISTENT_VOLUME_CLAIMS.kind, namespace, ephemeral_claim(pod, volume))
        made["persistentVolumeClaim"] = {"claimName": claim}
    if made.get("downwardAPI"):
        items = [_downward(item) for item in made["downwardAPI"].get("items") or ()]
        made["downwardAPI"] = {**made["downwardAPI"], "items": items}
    if made.get("projected"):
        sources = [
            _projected(source, f"{volume['name']}.{number}", pod, tenant)
            for number, source in enumerate(made["projected"].get("sources") or ())
        ]
        made["projected"] = {**made["projected"], "sources": sources}
    for kind, holder, field in SECRET_REFERENCES:
        if holder is None:
            rename(SECRETS, kind, field)
        elif name := ((made.get(kind) or {}).get(holder) or {}).get(field):
            reference = {**made[kind][holder], field: name_on_host(tenant, SECRETS.kind, namespace, name)}
            made[kind] = {**made[kind], holder: reference}
    return made


def to_host(pod: Object, tenant: Tenant) -> list[dict[str, Any]]:
    """Make the host pod's volumes."""
    return [_volume(volume, pod, tenant) for volume in pod["spec"].get("volumes") or ()]

"""Ingresses: served by the controllers of the host, which lead to host Services.

The one rule: every name in an Ingress is one of its own tenant's objects and is translated; what class serves it is
the host's to know, so class names stay, and a class that the host chose by default stays, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vcluster_syncer import decide, ownership
from vcluster_syncer.model import (
    INGRESSES,
    SECRETS,
    SERVICES,
    Action,
    Key,
    Kind,
    Object,
    Reference,
    Rule,
    Switch,
    Tenant,
    UpdateVirtualStatus,
    World,
)
from vcluster_syncer.naming import host_namespace_of, name_on_host
from vcluster_syncer.translate import ingress_annotations, metadata


def _kind_of(field: str, named: Object) -> str:
    return SERVICES.kind if field == "service" else named["kind"]


def _backend(backend: Object, key: Key, tenant: Tenant) -> dict[str, Any]:
    return {
        field: {**named, "name": name_on_host(tenant, _kind_of(field, named), key.namespace, named["name"])}
        for field, named in backend.items()
        if named
    }


def _rule(rule: Object, key: Key, tenant: Tenant) -> dict[str, Any]:
    if not (rule.get("http") or {}).get("paths"):
        return dict(rule)
    paths = [{**path, "backend": _backend(path["backend"], key, tenant)} for path in rule["http"]["paths"]]
    return {**rule, "http": {**rule["http"], "paths": paths}}


def _tls(entry: Object, key: Key, tenant: Tenant) -> dict[str, Any]:
    name = entry.get("secretName")
    return {**entry, "secretName": name_on_host(tenant, SECRETS.kind, key.namespace, name)} if name else dict(entry)


def _metadata(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    def secret(used: Key) -> tuple[str, str]:
        return host_namespace_of(tenant, used.namespace), name_on_host(tenant, SECRETS.kind, *used)

    annotations = ingress_annotations.to_host(
        dict(ownership.annotations_of(virtual)),
        key.namespace,
        secret=secret,
        service=lambda name: name_on_host(tenant, SERVICES.kind, key.namespace, name),
    )
    named = {**virtual, "metadata": {**virtual["metadata"], "annotations": annotations}}
    return metadata.to_host(key, named, tenant, INGRESSES)


def to_host(key: Key, virtual: Object, tenant: Tenant) -> dict[str, Any]:
    """Make the host Ingress of a virtual one."""
    source = virtual.get("spec") or {}
    spec = dict(source)
    if source.get("defaultBackend"):
        spec["defaultBackend"] = _backend(source["defaultBackend"], key, tenant)
    if source.get("rules"):
        spec["rules"] = [_rule(rule, key, tenant) for rule in source["rules"]]
    if source.get("tls"):
        spec["tls"] = [_tls(entry, key, tenant) for entry in source["tls"]]
    return {
        "apiVersion": INGRESSES.api_version,
        "kind": INGRESSES.kind,
        "metadata": _metadata(key, virtual, tenant),
        "spec": spec,
    }


def _difference(host: Object, wanted: Object) -> Object:
    spec = {"ingressClassName": (host.get("spec") or {}).get("ingressClassName"), **wanted["spec"]}
    return {
        **metadata.difference(host, wanted),
        **decide.fields_patch(host, {"spec": {name: value for name, value in spec.items() if value}}, ("spec",)),
    }


def _status(virtual: Object, host: Object) -> Sequence[Action]:
    status = virtual.get("status") or {}
    balancer = (host.get("status") or {}).get("loadBalancer") or {}
    if balancer == (status.get("loadBalancer") or {}):
        return ()
    return (UpdateVirtualStatus(INGRESSES, {**virtual, "status": {**status, "loadBalancer": balancer}}),)


def reconcile(key: Key, virtual: Object | None, host: Object | None, world: World) -> Sequence[Action]:
    """Carry an Ingress, and bring back under which addresses it is served."""
    actions = decide.carry(
        INGRESSES,
        key,
        virtual,
        host,
        world,
        to_host=lambda wanted: to_host(key, wanted, world.tenant),
        difference=_difference,
    )
    if virtual is None or host is None or not ownership.carries(host, virtual):
        return actions
    return (*actions, *_status(virtual, host))


def _references(virtual: Object) -> frozenset[Reference]:
    namespace = virtual["metadata"]["namespace"]
    tls = (entry.get("secretName") for entry in (virtual.get("spec") or {}).get("tls") or ())
    named = ingress_annotations.secrets(dict(ownership.annotations_of(virtual)), namespace)
    return frozenset((SECRETS, key) for key in (*(Key(namespace, name) for name in tls if name), *named))


def _host_key(host: Object, tenant: Tenant) -> Key | None:
    return ownership.virtual_key(host, tenant, kind=INGRESSES.kind)


KIND = Kind(
    resource=INGRESSES,
    reconcile=reconcile,
    host_key=_host_key,
    references=_references,
    switch=Switch("to_host", "ingresses"),
    host_rules=(Rule.to_carry(INGRESSES),),
)

"""A container's environment on the host.

The kubelet there would inject the host's services, so that is switched off and the virtual cluster's are written
into the pod. They come first, so that `$(REDIS_SERVICE_HOST)` in the user's variables works, and the one rule is
the kubelet's: a name the user defines, directly or through `envFrom`, is the user's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from vcluster_syncer import ownership
from vcluster_syncer.model import CONFIGMAPS, SECRETS, SERVICES, Key, Object, Resource, Tenant, World
from vcluster_syncer.naming import name_on_host
from vcluster_syncer.translate import labels

SERVICE_ACCOUNT_NOTE: Final = f"{ownership.PREFIX}service-account"
LABELS_NOTE: Final = f"{ownership.PREFIX}labels"
ANNOTATIONS_NOTE: Final = f"{ownership.PREFIX}annotations"

_NOTE_OF_FIELD: Final[Mapping[str, str]] = {
    "metadata.name": ownership.NAME,
    "metadata.namespace": ownership.NAMESPACE,
    "metadata.uid": ownership.UID,
    "spec.serviceAccountName": SERVICE_ACCOUNT_NOTE,
    "metadata.labels": LABELS_NOTE,
    "metadata.annotations": ANNOTATIONS_NOTE,
}
_ONE_LABEL: Final = "metadata.labels['"
_SOURCES: Final[Mapping[str, Resource]] = {"configMapRef": CONFIGMAPS, "secretRef": SECRETS}


def field_to_host(reference: Object) -> dict[str, Any]:
    """Return the downward API reference that gives on the host what `reference` gives in the virtual cluster."""
    path = reference["fieldPath"]
    if note := _NOTE_OF_FIELD.get(path):
        return {**reference, "fieldPath": f"metadata.annotations['{note}']"}
    if path.startswith(_ONE_LABEL):
        label = path.removeprefix(_ONE_LABEL).removesuffix("']")
        return {**reference, "fieldPath": f"{_ONE_LABEL}{labels.key_to_host(label)}']"}
    return dict(reference)


def _variables(name: str, ip: str, ports: Iterable[Object]) -> Iterator[tuple[str, str]]:
    prefix = name.upper().replace("-", "_")
    for number, port in enumerate(ports):
        value, protocol = str(port["port"]), port.get("protocol") or "TCP"
        url = f"{protocol.lower()}://{f'[{ip}]' if ':' in ip else ip}:{value}"
        if number == 0:
            yield f"{prefix}_SERVICE_HOST", ip
            yield f"{prefix}_SERVICE_PORT", value
            yield f"{prefix}_PORT", url
        if port.get("name"):
            yield f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}", value
        link = f"{prefix}_PORT_{value}_{protocol.upper()}"
        yield from ((link, url), (f"{link}_PROTO", protocol.lower()), (f"{link}_PORT", value), (f"{link}_ADDR", ip))


def service_variables(pod: Object, world: World) -> dict[str, str]:
    """Return what the kubelet of a real cluster would tell the containers of `pod` about services."""
    found = dict(_variables("kubernetes", world.tenant.kubernetes_service_ip, [{"name": "https", "port": 443}]))
    if pod["spec"].get("enableServiceLinks") is False:
        return found
    for service in world.virtual_list(SERVICES, pod["metadata"]["namespace"]):
        ip, name = service["spec"].get("clusterIP"), service["metadata"]["name"]
        if ip and ip != "None" and (pod["metadata"]["namespace"], name) != ("default", "kubernetes"):
            found.update(_variables(name, ip, service["spec"].get("ports") or ()))
    return found


def _names_from_sources(container: Object, namespace: str, world: World) -> Iterator[str]:
    for source in container.get("envFrom") or ():
        for field, resource in _SOURCES.items():
            name = (source.get(field) or {}).get("name")
            found = world.virtual(resource, Key(namespace, name)) if name else None
            for key in (found or {}).get("data") or ():
                yield f"{source.get('prefix') or ''}{key}"


def _renamed(reference: Object, resource: Resource, namespace: str, tenant: Tenant) -> Object:
    name = reference.get("name")
    return {**reference, "name": name_on_host(tenant, resource.kind, namespace, name)} if name else reference


def _variable(variable: Object, namespace: str, tenant: Tenant) -> Object:
    source = variable.get("valueFrom")
    if not source:
        return variable
    made = dict(source)
    for resource, field in ((CONFIGMAPS, "configMapKeyRef"), (SECRETS, "secretKeyRef")):
        if made.get(field):
            made[field] = _renamed(made[field], resource, namespace, tenant)
    if made.get("fieldRef"):
        made["fieldRef"] = field_to_host(made["fieldRef"])
    return {**variable, "valueFrom": made}


def _texts(variables: Iterable[Object]) -> str:
    return "\n".join(str(variable.get("value") or "") for variable in variables)


def container_to_host(container: Object, namespace: str, services: Mapping[str, str], world: World) -> dict[str, Any]:
    """Make the host's container of a virtual one."""
    own = container.get("env") or ()
    # His own variable may be built on the one it hides: the last of a name wins, what comes between sees the first.
    hidden = {variable["name"] for variable in own if f"$({variable['name']})" not in _texts(own)}
    taken = hidden.union(_names_from_sources(container, namespace, world))
    made = dict(container)
    made["env"] = [
        *({"name": name, "value": value} for name, value in sorted(services.items()) if name not in taken),
        *(_variable(variable, namespace, world.tenant) for variable in own),
    ]
    if container.get("envFrom"):
        made["envFrom"] = [
            {
                field: _renamed(value, _SOURCES[field], namespace, world.tenant) if field in _SOURCES else value
                for field, value in source.items()
            }
            for source in container["envFrom"]
        ]
    return made

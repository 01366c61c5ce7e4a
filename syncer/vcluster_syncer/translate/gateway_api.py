"""What the kinds of the Gateway API have in common: how they name other objects, and who may name whom.

On the host all objects of a tenant may live in one namespace, where the API's own protection, which is by namespace,
sees no border. The one rule: it is enforced here. A reference to another namespace that nobody granted is carried
under a name that no object ever has, and a route is attached only to a gateway that admits its namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from vcluster_syncer import ownership
from vcluster_syncer.model import (
    CONFIGMAPS,
    GATEWAYS,
    NAMESPACES,
    REFERENCE_GRANTS,
    SECRETS,
    Key,
    Object,
    Reference,
    Resource,
    Tenant,
    World,
)
from vcluster_syncer.naming import host_namespace_of, name_on_host
from vcluster_syncer.translate import labels

_NOT_GRANTED: Final = "not-granted"
# Field of a spec, at any depth: group and kind of what it names where it does not say.
_NAMING: Final = {
    "backendRef": ("", "Service"),
    "backendRefs": ("", "Service"),
    "caCertificateRefs": ("", "ConfigMap"),
    "certificateRefs": ("", "Secret"),
    "clientCertificateRef": ("", "Secret"),
    "extensionRef": ("", ""),
    "parametersRef": ("", ""),
}


class Naming(NamedTuple):
    """Who names something: its kind and namespace."""

    resource: Resource
    namespace: str


def _is_granted(naming: Naming, group: str, kind: str, named: Key, world: World) -> bool:
    if named.namespace == naming.namespace:
        return True
    grants = world.virtual_list(REFERENCE_GRANTS, named.namespace) if world.kind(REFERENCE_GRANTS) is not None else ()
    return any(
        any(
            (one.get("group", ""), one.get("kind"), one.get("namespace"))
            == (naming.resource.group, naming.resource.kind, naming.namespace)
            for one in grant["spec"].get("from") or ()
        )
        and any(
            (one.get("group", ""), one.get("kind")) == (group, kind) and one.get("name") in {None, "", named.name}
            for one in grant["spec"].get("to") or ()
        )
        for grant in grants
    )


def _reference_to_host(reference: Object, default: tuple[str, str], naming: Naming, world: World) -> dict[str, Any]:
    named = Key(reference.get("namespace") or naming.namespace, reference["name"])
    group, kind = reference.get("group", default[0]), reference.get("kind", default[1])
    role = "" if _is_granted(naming, group, kind, named, world) else _NOT_GRANTED
    made = {field: spec_to_host(value, naming, world) for field, value in reference.items() if field != "namespace"}
    there = _namespace(named.namespace, naming, world.tenant)
    return {**made, **there, "name": name_on_host(world.tenant, kind, *named, role=role)}


def _namespace(namespace: str, naming: Naming, tenant: Tenant) -> dict[str, str]:
    there = host_namespace_of(tenant, namespace)
    return {} if there == host_namespace_of(tenant, naming.namespace) else {"namespace": there}


def spec_to_host(value: Any, naming: Naming, world: World) -> Any:
    """Return a copy of a spec, or of a part of it, in which every name of another object is the host's."""
    if isinstance(value, list):
        return [spec_to_host(one, naming, world) for one in value]
    if not isinstance(value, dict):
        return value
    made: dict[str, Any] = {}
    for field, inside in value.items():
        default = _NAMING.get(field)
        if default is None or not inside:
            made[field] = spec_to_host(inside, naming, world)
        elif isinstance(inside, list):
            made[field] = [_reference_to_host(one, default, naming, world) for one in inside]
        else:
            made[field] = _reference_to_host(inside, default, naming, world)
    return made


def _named(value: Any, naming: Naming) -> Iterator[tuple[str, str, Key]]:
    for one in value if isinstance(value, list) else ():
        yield from _named(one, naming)
    for field, inside in value.items() if isinstance(value, dict) else ():
        default = _NAMING.get(field)
        for one in inside if isinstance(inside, list) else [inside]:
            if default is not None and isinstance(one, dict) and one.get("name"):
                key = Key(one.get("namespace") or naming.namespace, one["name"])
                yield one.get("group", default[0]), one.get("kind", default[1]), key
        yield from _named(inside, naming)


def uses(virtual: Object, resource: Resource) -> frozenset[Reference]:
    """Return the Secrets and ConfigMaps that an object names, and the gateways a route is attached to."""
    naming = Naming(resource, virtual["metadata"]["namespace"])
    carried = {(one.group, one.kind): one for one in (SECRETS, CONFIGMAPS)}
    named = ((carried.get((group, kind)), key) for group, kind, key in _named(virtual["spec"], naming))
    parents = ((GATEWAYS, _parent_key(one, naming)) for one in _parents(virtual))
    return frozenset([*((used, key) for used, key in named if used is not None), *parents])


# Routes and what they are attached to.


def _parents(route: Object) -> Sequence[Object]:
    return [one for one in route["spec"].get("parentRefs") or () if one.get("kind", GATEWAYS.kind) == GATEWAYS.kind]


def _parent_key(parent: Object, naming: Naming) -> Key:
    return Key(parent.get("namespace") or naming.namespace, parent["name"])


def _admits(gateway: Object, parent: Object, naming: Naming, world: World) -> bool:
    for listener in gateway["spec"].get("listeners") or ():
        if parent.get("sectionName") not in {None, listener["name"]}:
            continue
        allowed = (listener.get("allowedRoutes") or {}).get("namespaces") or {}
        match allowed.get("from", "Same"):
            case "All":
                return True
            case "Selector":
                space = world.virtual(NAMESPACES, Key("", naming.namespace))
                if space is not None and labels.matches(allowed.get("selector"), ownership.labels_of(space)):
                    return True
    return False


def _parent_to_host(parent: Object, naming: Naming, tenant: Tenant) -> dict[str, Any]:
    made = {field: value for field, value in parent.items() if field != "namespace"}
    key = _parent_key(parent, naming)
    return {**made, **_namespace(key.namespace, naming, tenant), "name": name_on_host(tenant, GATEWAYS.kind, *key)}


def parents_to_host(route: Object, resource: Resource, world: World) -> list[tuple[Object, dict[str, Any]]]:
    """Return a route's parents, each with what it is on the host, but those that do not admit the route."""
    naming, made = Naming(resource, route["metadata"]["namespace"]), []
    for parent in _parents(route):
        key = _parent_key(parent, naming)
        gateway = world.virtual(GATEWAYS, key) if world.kind(GATEWAYS) is not None else None
        if key.namespace == naming.namespace or (gateway is not None and _admits(gateway, parent, naming, world)):
            made.append((parent, _parent_to_host(parent, naming, world.tenant)))
    return made

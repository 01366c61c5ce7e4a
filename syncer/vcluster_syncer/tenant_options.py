"""What whoever adds a tenant may ask for: host namespaces, bounds, room, what of the host is shown to it.

The one rule: pure readers, one for each part of the description; `config.parse_tenant` puts them together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vcluster_syncer.fields import ConfigError, Fields
from vcluster_syncer.isolation import LEVELS, Terms
from vcluster_syncer.model import (
    CONFIGMAPS,
    CSI_STORAGE_CAPACITIES,
    ENDPOINT_SLICES,
    SECRETS,
    SERVICES,
    Export,
    Import,
    Key,
    Part,
    Resource,
    Rule,
)

IMPORTED = (CONFIGMAPS, SECRETS, SERVICES, CSI_STORAGE_CAPACITIES)
"""What of the host can be shown by name."""
_PARTS: Mapping[Resource, tuple[Part, ...]] = {SERVICES: (Part(ENDPOINT_SLICES, "kubernetes.io/service-name"),)}
_KUBERNETES = Key("default", "kubernetes")
_LABEL = re.compile("[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def parse_terms(tenant: Fields) -> Terms:
    """Read `reserve` and `isolation`."""
    isolation = tenant.mapping("isolation", optional=True)
    limits = isolation.mapping("limits", optional=True)
    network_policy = isolation.flag("network_policy")
    level = isolation.take("pod_security", str, "")
    if level not in ("", *LEVELS):
        raise ConfigError(f"{isolation.source}: pod_security must be one of {', '.join(LEVELS)}, it is {level!r}")
    terms = Terms(
        reserve=tenant.mapping("reserve", optional=True).quantities(),
        quota=isolation.mapping("quota", optional=True).quantities(),
        limits=limits.mapping("default", optional=True).quantities(),
        requests=limits.mapping("default_request", optional=True).quantities(),
        pod_security=level,
        network_policy=network_policy,
    )
    for part in (isolation, limits):
        part.nothing_else()
    return terms


def parse_pattern(spaces: Fields) -> str:
    """Read how host namespaces of single virtual ones begin."""
    pattern: str = spaces.take("pattern", str, "{tenant}-{namespace}")
    rest = pattern.replace("{tenant}", "").replace("{namespace}", "")
    if not re.fullmatch("[a-z0-9-]*", rest):
        raise ConfigError(
            f"{spaces.source}: pattern may have {{tenant}}, {{namespace}}, small letters, digits and dashes, "
            f"it is {pattern!r}"
        )
    return pattern


def parse_drain(tenant: Fields) -> bool:
    """Read `drain`: whether what a lease leaves on the host is removed in the background."""
    drain = tenant.take("drain", str, "wait")
    if drain not in ("wait", "background"):
        raise ConfigError(f"{tenant.source}: drain must be wait or background, it is {drain!r}")
    return bool(drain == "background")


def import_rules(resource: Resource) -> tuple[Rule, ...]:
    """Return the rights that it takes, in a namespace of the host, to show what is there of a resource."""
    return tuple(Rule.to_read(each) for each in (resource, *(part.resource for part in _PARTS.get(resource, ()))))


def parse_imports(tenant: Fields) -> tuple[Import, ...]:
    """Read `from_host`: `{"configmaps": {"HOST-NAMESPACE/NAME": "NAMESPACE/NAME"}}`, `*` as both names meaning all."""
    part = tenant.mapping("from_host", optional=True)
    found: list[Import] = []
    for resource in IMPORTED:
        shown = part.mapping(resource.plural, optional=True)
        for origin, target in shown.texts().items():
            from_namespace, slash, from_name = origin.partition("/")
            to_namespace, other_slash, to_name = target.partition("/")
            parts = (from_namespace, from_name, to_namespace, to_name)
            if not (slash and other_slash and all(parts)) or any("/" in each for each in parts):
                raise ConfigError(
                    f"{shown.source}: {origin!r}: {target!r} must be NAMESPACE/NAME on the host and NAMESPACE/NAME in "
                    "the virtual cluster, or * as both names"
                )
            is_all = from_name == to_name == "*"
            if (not is_all and "*" in origin + target) or "*" in from_namespace + to_namespace:
                raise ConfigError(f"{shown.source}: {origin!r}: {target!r}: * stands for all names, on both sides")
            made = Import(
                resource=resource,
                from_namespace=from_namespace,
                from_name=from_name,
                to_namespace=to_namespace,
                to_name=to_name,
                parts=_PARTS.get(resource, ()),
            )
            if resource == SERVICES and (to_namespace, to_name) == _KUBERNETES:
                raise ConfigError(f"{shown.source}: {target!r} is the virtual API server's own; choose another name")
            if any((one.resource, one.to_namespace, one.to_name) == (resource, to_namespace, to_name) for one in found):
                raise ConfigError(f"{shown.source}: {target!r} is there twice; name each place in the cluster once")
            found.append(made)
    part.nothing_else()
    # What is named goes before what comes along.
    return tuple(sorted(found, key=lambda one: one.to_name == "*"))


def parse_exports(tenant: Fields) -> tuple[Export, ...]:
    """Read `to_host`: `{"services": {"NAMESPACE/NAME": "NAME"}}`, the latter on the host."""
    part = tenant.mapping("to_host", optional=True)
    services = part.mapping("services", optional=True)
    found: list[Export] = []
    for origin, name in services.texts().items():
        namespace, _, own = origin.partition("/")
        if not (namespace and own and "/" not in own and _LABEL.fullmatch(name)):
            raise ConfigError(
                f"{services.source}: {origin!r}: {name!r} must be NAMESPACE/NAME in the virtual cluster, and the NAME "
                "of a Service in the tenant's namespace on the host"
            )
        if (namespace, own) == _KUBERNETES:
            raise ConfigError(f"{services.source}: {origin!r} is on the host already, by its own address; leave it out")
        if any(one.name == name for one in found):
            raise ConfigError(f"{services.source}: {name!r} is there twice; name each Service of the host once")
        found.append(Export(Key(namespace, own), name))
    part.nothing_else()
    return tuple(found)

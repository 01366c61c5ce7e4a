"""What the syncer is told: by its configuration file, and of each tenant by whoever adds it.

The one rule: read once, at the edge, into frozen values. What is missing, unknown or of the wrong type is one error
that names the field and what belongs there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import orjson

from vcluster_syncer.isolation import LEVELS, NO_TERMS, Terms
from vcluster_syncer.model import CONFIGMAPS, CSI_STORAGE_CAPACITIES, SECRETS, Import, Tenant
from vcluster_syncer.quantities import parse

LOG_LEVELS = ("debug", "info", "warning", "error")

T = TypeVar("T")


class ConfigError(Exception):
    """A configuration can't be used; the message tells the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """Where an API server finds what it takes for a kubelet; files hold PEM text."""

    address: str
    """What nodes give as their kubelet's address; the certificate has to be for it."""
    port: int
    """0 is any free one."""
    certificate: Path
    key: Path
    client_authority: Path
    """Whoever has a certificate signed by it is let in: that API server, and nobody else."""
    listen: str = ""
    """The address to listen at, where that is not `address`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedKubelet:
    """A kubelet that lets everybody in who knows a name, and the endpoint that is all the host's API server knows."""

    endpoint: EndpointConfig
    address: str
    """Where the kubelet listens."""
    port: int
    namespace: str = field(repr=False)
    """What it is told in the place of every pod's namespace. A secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The configuration of a process."""

    host_kubeconfig: Path
    """Credentials for the host cluster. Explicit: no ambient kubeconfig, no service account is looked for."""
    admin_socket: Path
    """Where the admin API listens: a Unix socket that only this user may use."""
    host_namespace: str = ""
    """The only namespace of the host that may be watched; empty watches all, which many tenants share."""
    patrol_seconds: float = 120.0
    """How often memory is compared with the servers, in seconds."""
    log_level: str = "info"
    """One of `LOG_LEVELS`."""
    kubelet: GuardedKubelet | None = None
    """A kubelet on the host that needs somebody to ask its clients who they are."""
    switches: Mapping[str, bool] = field(default_factory=dict)
    """Which kinds are carried beyond, or not, what is by default: `Switch.path` to on or off. See `switches`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecycleConfig:
    """Where the state of a virtual cluster is."""

    etcd: Path
    """The Unix socket of its etcd."""
    prefix: str
    """What its keys begin with; ends in a slash."""
    freeze: tuple[int, ...] = ()
    """Processes that stand still meanwhile: its controller manager."""
    rest: tuple[int, ...] = ()
    """Processes that must have nothing left to do in the end: its API server and its controller manager."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantConfig:
    """A virtual cluster to carry."""

    tenant: Tenant
    kubeconfig: Path
    """Credentials for the virtual API server."""
    recycle: RecycleConfig | None = None
    """How it can be put back to its baseline; None if it can't."""
    terms: Terms = NO_TERMS
    """What of the host it is sure of, and what bounds it there."""
    gateway: EndpointConfig | None = None
    """None: there are no logs to be had of its pods, and no way into them."""


def load(path: Path) -> Config:
    """Read the configuration file at `path`."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"configuration {path} can't be read: {error.strerror}; see --config") from error
    return parse_config(_parse(text, str(path)), source=str(path))


def parse_config(document: Mapping[str, Any], *, source: str) -> Config:
    """Read a configuration."""
    fields = _Fields(document, source)
    host, admin = fields.mapping("host"), fields.mapping("admin")
    patrol = fields.take("patrol_seconds", (int, float), 120.0)
    if patrol <= 0:
        raise ConfigError(f"{source}: patrol_seconds must be more than 0, it is {patrol}")
    level = fields.take("log_level", str, "info")
    if level not in LOG_LEVELS:
        raise ConfigError(f"{source}: log_level must be one of {', '.join(LOG_LEVELS)}, it is {level!r}")
    config = Config(
        host_kubeconfig=Path(host.required("kubeconfig")),
        host_namespace=host.take("namespace", str, ""),
        admin_socket=Path(admin.required("unix")),
        patrol_seconds=float(patrol),
        log_level=level,
        kubelet=_parse_kubelet(fields),
        switches=_parse_switches(fields),
    )
    if config.host_namespace and config.switches.get("to_host.namespaces"):
        raise ConfigError(f"{source}: host.namespace can't be the only one where sync.to_host.namespaces makes others")
    for part in (host, admin, fields):
        part.nothing_else()
    return config


def parse_tenant(body: bytes) -> TenantConfig:
    """Read the description of a tenant, as the admin API receives it."""
    fields = _Fields(_parse(body, "tenant"), "tenant")
    name = fields.required("name")
    virtual = fields.mapping("virtual")
    nodes = fields.mapping("nodes", optional=True)
    mode = nodes.take("mode", str, "private")
    if mode not in ("private", "shared"):
        raise ConfigError(f"tenant.nodes: mode must be private or shared, it is {mode!r}")
    spaces = fields.mapping("namespaces", optional=True)
    spread = spaces.take("mode", str, "single")
    if spread not in ("single", "each"):
        raise ConfigError(f"tenant.namespaces: mode must be single or each, it is {spread!r}")
    terms = _parse_terms(fields)
    if spread == "each" and terms.is_bounded:
        raise ConfigError("tenant.isolation: it bounds one host namespace, and tenant.namespaces mode each has many")
    config = TenantConfig(
        terms=terms,
        kubeconfig=Path(virtual.required("kubeconfig")),
        recycle=_parse_recycle(fields),
        gateway=_parse_gateway(fields),
        tenant=Tenant(
            name=name,
            host_namespace=fields.required("host_namespace"),
            each_namespace=spread == "each",
            namespace_pattern=_parse_pattern(spaces),
            kubernetes_service_ip=fields.required("kubernetes_service_ip"),
            dns_service_ip=fields.take("dns_service_ip", (str, type(None)), None),
            cluster_domain=fields.take("cluster_domain", str, "cluster.local"),
            private_nodes=mode == "private",
            node_label=nodes.take("label", str, "vcluster-syncer/tenant"),
            node_label_value=nodes.take("value", str, name),
            imports=_parse_imports(fields),
        ),
    )
    for part in (virtual, nodes, spaces, fields):
        part.nothing_else()
    return config


def _parse_terms(tenant: _Fields) -> Terms:
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


def _parse_pattern(spaces: _Fields) -> str:
    pattern: str = spaces.take("pattern", str, "{tenant}-{namespace}")
    rest = pattern.replace("{tenant}", "").replace("{namespace}", "")
    if not re.fullmatch("[a-z0-9-]*", rest):
        raise ConfigError(
            f"{spaces.source}: pattern may have {{tenant}}, {{namespace}}, small letters, digits and dashes, "
            f"it is {pattern!r}"
        )
    return pattern


def _parse_imports(tenant: _Fields) -> tuple[Import, ...]:
    """Read `from_host`: `{"configmaps": {"HOST-NAMESPACE/NAME": "NAMESPACE/NAME"}}`, `*` as both names meaning all."""
    part = tenant.mapping("from_host", optional=True)
    found: list[Import] = []
    for resource in (CONFIGMAPS, SECRETS, CSI_STORAGE_CAPACITIES):
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
            )
            if any((one.resource, one.to_namespace, one.to_name) == (resource, to_namespace, to_name) for one in found):
                raise ConfigError(f"{shown.source}: {target!r} is there twice; name each place in the cluster once")
            found.append(made)
    part.nothing_else()
    # What is named goes before what comes along.
    return tuple(sorted(found, key=lambda one: one.to_name == "*"))


def parse_read_before(body: bytes) -> Mapping[str, Any]:
    """Read what etcd answered to whoever read the state of a tenant before it was carried."""
    return _parse(body, "recycle")


def parse_restore(body: bytes) -> str:
    """Read which checkpoint to restore."""
    fields = _Fields(_parse(body, "restore"), "restore")
    name = fields.required("checkpoint")
    fields.nothing_else()
    return name


def parse_restart(body: bytes) -> tuple[int, ...]:
    """Read which processes are to be frozen from now on."""
    fields = _Fields(_parse(body, "restart"), "restart")
    pids = _parse_pids(fields, "freeze")
    fields.nothing_else()
    return pids


def _parse_switches(config: _Fields) -> Mapping[str, bool]:
    """Read `sync`, whose fields are the switches of the kinds; which there are is for `switches.selected` to say."""
    sync = config.mapping("sync", optional=True)
    parts = {direction: sync.mapping(direction, optional=True) for direction in ("to_host", "from_host")}
    sync.nothing_else()
    return {f"{direction}.{name}": on for direction, part in parts.items() for name, on in part.flags().items()}


def _parse_pids(fields: _Fields, name: str) -> tuple[int, ...]:
    pids = fields.take(name, list, [])
    if not all(isinstance(pid, int) and not isinstance(pid, bool) and pid > 1 for pid in pids):
        raise ConfigError(f"{fields.source}: {name} must be a list of process ids, it is {pids!r}")
    return tuple(pids)


def _parse_kubelet(config: _Fields) -> GuardedKubelet | None:
    if config.take("kubelet", (dict, type(None)), None) is None:
        return None
    fields = config.mapping("kubelet")
    behind = fields.mapping("behind")
    guarded = GuardedKubelet(
        endpoint=_parse_endpoint(fields.mapping("endpoint")),
        address=behind.required("address"),
        port=_parse_port(behind),
        namespace=behind.required("namespace"),
    )
    for part in (behind, fields):
        part.nothing_else()
    return guarded


def _parse_gateway(tenant: _Fields) -> EndpointConfig | None:
    if tenant.take("gateway", (dict, type(None)), None) is None:
        return None
    return _parse_endpoint(tenant.mapping("gateway"))


def _parse_port(fields: _Fields) -> int:
    port: int = fields.take("port", int, 0)
    if not 0 <= port < 1 << 16:
        raise ConfigError(f"{fields.source}: port must be from 0 (any) to 65535, it is {port}")
    return port


def _parse_endpoint(fields: _Fields) -> EndpointConfig:
    config = EndpointConfig(
        address=fields.required("address"),
        listen=fields.take("listen", str, ""),
        port=_parse_port(fields),
        certificate=Path(fields.required("certificate")),
        key=Path(fields.required("key")),
        client_authority=Path(fields.required("client_authority")),
    )
    fields.nothing_else()
    return config


def _parse_recycle(tenant: _Fields) -> RecycleConfig | None:
    if tenant.take("recycle", (dict, type(None)), None) is None:
        return None
    fields = tenant.mapping("recycle")
    prefix = fields.required("prefix")
    if not prefix.endswith("/"):
        # Otherwise /a would reach into /ab.
        raise ConfigError(f"tenant.recycle: prefix must end with a slash, it is {prefix!r}")
    config = RecycleConfig(
        etcd=Path(fields.required("etcd")),
        prefix=prefix,
        freeze=_parse_pids(fields, "freeze"),
        rest=_parse_pids(fields, "rest"),
    )
    fields.nothing_else()
    return config


class _Fields:
    """The fields of one JSON object; remembers which were asked for, so that a misspelt one is not ignored."""

    def __init__(self, values: Mapping[str, Any], source: str) -> None:
        self._values = values
        self.source = source
        self._asked: list[str] = []

    def take(self, name: str, types: type | tuple[type, ...], default: T) -> Any:
        """The value of a field, or `default`."""
        self._asked.append(name)
        value = self._values.get(name, default)
        # A bool is an int to Python, and never meant as one.
        if not isinstance(value, types) or isinstance(value, bool):
            wanted = types if isinstance(types, tuple) else (types,)
            names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in wanted)
            raise ConfigError(f"{self.source}: {name} must be {names}, it is {value!r}")
        return value

    def required(self, name: str) -> str:
        """A text that must be there and not be empty."""
        value = self.take(name, str, "")
        if not value:
            raise ConfigError(f"{self.source}: {name} is missing")
        return str(value)

    def mapping(self, name: str, *, optional: bool = False) -> _Fields:
        """A nested object."""
        self._asked.append(name)
        value = self._values.get(name, {} if optional else None)
        if not isinstance(value, dict):
            raise ConfigError(f"{self.source}: {name} must be an object, it is {value!r}")
        return _Fields(value, f"{self.source}.{name}")

    def texts(self) -> dict[str, str]:
        """All fields, each of which must be text."""
        for name, value in self._values.items():
            if not isinstance(value, str):
                raise ConfigError(f"{self.source}: {name} must be text, it is {value!r}")
        return dict(self._values)

    def flag(self, name: str) -> bool:
        """A field that is true or false, and false where it is missing."""
        self._asked.append(name)
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.source}: {name} must be true or false, it is {value!r}")
        return value

    def quantities(self) -> dict[str, str]:
        """All fields, each of which must be an amount of a resource."""
        found = {}
        for name, value in self._values.items():
            try:
                found[name] = str(value)
                parse(found[name])
            except ValueError as error:
                raise ConfigError(f"{self.source}: {name}: {error}") from error
        return found

    def flags(self) -> dict[str, bool]:
        """All fields, each of which must be true or false."""
        for name, value in self._values.items():
            if not isinstance(value, bool):
                raise ConfigError(f"{self.source}: {name} must be true or false, it is {value!r}")
        return dict(self._values)

    def nothing_else(self) -> None:
        """Complain about fields that nobody asked for."""
        unknown = sorted(set(self._values) - set(self._asked))
        if unknown:
            raise ConfigError(f"{self.source}: unknown {', '.join(unknown)}; known are {', '.join(self._asked)}")


def _parse(text: bytes, source: str) -> dict[str, Any]:
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{source} is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ConfigError(f"{source} must be a JSON object")
    return parsed

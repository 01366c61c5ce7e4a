"""What the syncer is told: by its configuration file, and of each tenant by whoever adds it.

The one rule: read once, at the edge, into frozen values. What is missing, unknown or of the wrong type is one error
that names the field and what belongs there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vcluster_syncer.fields import ConfigError, Fields, parse_json
from vcluster_syncer.isolation import NO_TERMS, Terms
from vcluster_syncer.model import Tenant
from vcluster_syncer.tenant_options import parse_imports, parse_pattern, parse_terms

LOG_LEVELS = ("debug", "info", "warning", "error")


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
    return parse_config(parse_json(text, str(path)), source=str(path))


def parse_config(document: Mapping[str, Any], *, source: str) -> Config:
    """Read a configuration."""
    fields = Fields(document, source)
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
    fields = Fields(parse_json(body, "tenant"), "tenant")
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
    terms = parse_terms(fields)
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
            namespace_pattern=parse_pattern(spaces),
            kubernetes_service_ip=fields.required("kubernetes_service_ip"),
            dns_service_ip=fields.take("dns_service_ip", (str, type(None)), None),
            cluster_domain=fields.take("cluster_domain", str, "cluster.local"),
            private_nodes=mode == "private",
            node_label=nodes.take("label", str, "vcluster-syncer/tenant"),
            node_label_value=nodes.take("value", str, name),
            imports=parse_imports(fields),
        ),
    )
    for part in (virtual, nodes, spaces, fields):
        part.nothing_else()
    return config


def parse_read_before(body: bytes) -> Mapping[str, Any]:
    """Read what etcd answered to whoever read the state of a tenant before it was carried."""
    return parse_json(body, "recycle")


def parse_restore(body: bytes) -> str:
    """Read which checkpoint to restore."""
    fields = Fields(parse_json(body, "restore"), "restore")
    name = fields.required("checkpoint")
    fields.nothing_else()
    return name


def parse_restart(body: bytes) -> tuple[int, ...]:
    """Read which processes are to be frozen from now on."""
    fields = Fields(parse_json(body, "restart"), "restart")
    pids = _parse_pids(fields, "freeze")
    fields.nothing_else()
    return pids


def _parse_switches(config: Fields) -> Mapping[str, bool]:
    """Read `sync`, whose fields are the switches of the kinds; which there are is for `switches.selected` to say."""
    sync = config.mapping("sync", optional=True)
    parts = {direction: sync.mapping(direction, optional=True) for direction in ("to_host", "from_host")}
    sync.nothing_else()
    return {f"{direction}.{name}": on for direction, part in parts.items() for name, on in part.flags().items()}


def _parse_pids(fields: Fields, name: str) -> tuple[int, ...]:
    pids = fields.take(name, list, [])
    if not all(isinstance(pid, int) and not isinstance(pid, bool) and pid > 1 for pid in pids):
        raise ConfigError(f"{fields.source}: {name} must be a list of process ids, it is {pids!r}")
    return tuple(pids)


def _parse_kubelet(config: Fields) -> GuardedKubelet | None:
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


def _parse_gateway(tenant: Fields) -> EndpointConfig | None:
    if tenant.take("gateway", (dict, type(None)), None) is None:
        return None
    return _parse_endpoint(tenant.mapping("gateway"))


def _parse_port(fields: Fields) -> int:
    port: int = fields.take("port", int, 0)
    if not 0 <= port < 1 << 16:
        raise ConfigError(f"{fields.source}: port must be from 0 (any) to 65535, it is {port}")
    return port


def _parse_endpoint(fields: Fields) -> EndpointConfig:
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


def _parse_recycle(tenant: Fields) -> RecycleConfig | None:
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

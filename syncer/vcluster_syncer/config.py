"""What the syncer is told: by its configuration file, and of each tenant by whoever adds it.

The one rule: read once, at the edge, into frozen values. What is missing, unknown or of the wrong type is one error
that names the field and what belongs there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vcluster_syncer.fields import ConfigError, Fields, parse_json
from vcluster_syncer.isolation import NO_TERMS, Terms
from vcluster_syncer.model import NODE_METRICS, POD_METRICS, FakeNode, Resource, Tenant
from vcluster_syncer.pod_options import (
    SERVICE_ACCOUNT_DIRECTORY,
    Heartbeat,
    PodConfig,
    described,
    parse_heartbeat,
    parse_pod,
)
from vcluster_syncer.recycle_options import RecycleConfig, parse_recycle
from vcluster_syncer.tenant_options import parse_drain, parse_exports, parse_imports, parse_pattern, parse_terms

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
class MetricsConfig:
    """Which figures of the host's a virtual API server is told, and where it asks for them."""

    endpoint: EndpointConfig
    authority: Path
    """Who signed the endpoint's certificate, PEM text: what the API server is told to trust."""
    told: tuple[Resource, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The configuration of a process."""

    host_kubeconfig: Path | None = None
    """Credentials for the host cluster. Explicit: no ambient kubeconfig is looked for."""
    host_service_account: Path | None = None
    """In the place of a kubeconfig, the directory of a pod's service account: the host is the pod's own cluster."""
    admin_socket: Path | None = None
    """Where the admin API listens: a Unix socket that only this user may use."""
    admin_endpoint: EndpointConfig | None = None
    """Where it listens besides, or instead, for whoever has a certificate."""
    probes: tuple[str, int] | None = None
    """Address and port at which everybody is told how it is, and nothing else: a kubelet has no certificate."""
    host_namespace: str = ""
    """The only namespace of the host that may be watched; empty watches all, which many tenants share. In a pod it is
    the pod's own."""
    owner: str = ""
    """A Service in that namespace with which all goes that is made there; empty: nothing owns it."""
    heartbeat: Heartbeat | None = None
    """Whose end is the owner's; None: the cluster stays until somebody deletes it."""
    pod: PodConfig | None = None
    """The virtual cluster that this process is a part of; None: tenants come by the admin API."""
    patrol_seconds: float = 120.0
    """How often memory is compared with the servers, in seconds."""
    log_level: str = "info"
    """One of `LOG_LEVELS`."""
    kubelet: GuardedKubelet | None = None
    """A kubelet on the host that needs somebody to ask its clients who they are."""
    switches: Mapping[str, bool] = field(default_factory=dict)
    """Which kinds are carried beyond, or not, what is by default: `Switch.path` to on or off. See `switches`."""


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
    metrics: MetricsConfig | None = None
    """None: it has no metrics.k8s.io, but what its users bring."""


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
    in_cluster = host.flag("in_cluster")
    account = host.take("service_account_directory", str, str(SERVICE_ACCOUNT_DIRECTORY))
    socket = admin.take("unix", str, "")
    endpoint = _parse_endpoint(admin) if admin.take("address", str, "") else None
    if not socket and endpoint is None:
        raise ConfigError(f"{admin.source}: unix or address is missing: nobody could reach the admin API")
    config = Config(
        host_kubeconfig=None if in_cluster else Path(host.required("kubeconfig")),
        host_service_account=Path(account) if in_cluster else None,
        host_namespace=host.take("namespace", str, ""),
        admin_socket=Path(socket) if socket else None,
        admin_endpoint=endpoint,
        probes=_parse_probes(fields),
        owner=fields.take("owner", str, ""),
        heartbeat=parse_heartbeat(fields),
        pod=parse_pod(fields),
        patrol_seconds=float(patrol),
        log_level=level,
        kubelet=_parse_kubelet(fields),
        switches=_parse_switches(fields),
    )
    if config.host_namespace and config.switches.get("to_host.namespaces"):
        raise ConfigError(f"{source}: host.namespace can't be the only one where sync.to_host.namespaces makes others")
    if (config.owner or config.pod) and not (in_cluster or config.host_namespace):
        raise ConfigError(f"{source}: owner and pod need host.in_cluster, or host.namespace")
    if config.heartbeat is not None and not config.owner:
        raise ConfigError(f"{source}: owner is missing, which goes when nobody renews {config.heartbeat.lease!r}")
    for part in (host, admin, fields):
        part.nothing_else()
    if config.pod is not None:
        # For its mistakes to show at once; what only the pod knows is any value here.
        read = parse_description(described(config.pod, namespace="default"), source=f"{source}.pod.tenant")
        # Said once is enough: here whose nodes there are is one tenant's business.
        switches = {"from_host.nodes": read.tenant.fake_node is None, **config.switches}
        return replace(config, switches=switches)
    return config


def parse_tenant(body: bytes) -> TenantConfig:
    """Read the description of a tenant, as the admin API receives it."""
    return parse_description(parse_json(body, "tenant"))


def parse_description(document: Mapping[str, Any], *, source: str = "tenant") -> TenantConfig:
    """Read the description of a tenant."""
    fields = Fields(document, source)
    name = fields.required("name")
    virtual = fields.mapping("virtual")
    nodes = fields.mapping("nodes", optional=True)
    mode = nodes.take("mode", str, "private")
    if mode not in ("private", "shared", "fake"):
        raise ConfigError(f"{nodes.source}: mode must be private, shared or fake, it is {mode!r}")
    spaces = fields.mapping("namespaces", optional=True)
    spread = spaces.take("mode", str, "single")
    if spread not in ("single", "each"):
        raise ConfigError(f"{spaces.source}: mode must be single or each, it is {spread!r}")
    terms = parse_terms(fields)
    if spread == "each" and terms.is_bounded:
        raise ConfigError("tenant.isolation: it bounds one host namespace, and tenant.namespaces mode each has many")
    exports = parse_exports(fields)
    if spread == "each" and exports:
        raise ConfigError("tenant.to_host: it names Services of one host namespace, and mode each has many")
    config = TenantConfig(
        terms=terms,
        kubeconfig=Path(virtual.required("kubeconfig")),
        recycle=parse_recycle(fields),
        gateway=_parse_gateway(fields),
        metrics=_parse_metrics(fields),
        tenant=Tenant(
            name=name,
            host_namespace=fields.required("host_namespace"),
            each_namespace=spread == "each",
            namespace_pattern=parse_pattern(spaces),
            kubernetes_service_ip=fields.required("kubernetes_service_ip"),
            dns_service_ip=fields.take("dns_service_ip", (str, type(None)), None),
            cluster_domain=fields.take("cluster_domain", str, "cluster.local"),
            private_nodes=mode == "private",
            fake_node=FakeNode() if mode == "fake" else None,
            node_label=nodes.take("label", str, "vcluster-syncer/tenant"),
            node_label_value=nodes.take("value", str, name),
            imports=parse_imports(fields),
            exports=exports,
            drains_in_background=parse_drain(fields),
        ),
    )
    for part in (virtual, nodes, spaces, fields):
        part.nothing_else()
    return config


def _parse_switches(config: Fields) -> Mapping[str, bool]:
    """Read `sync`, whose fields are the switches of the kinds; which there are is for `switches.selected` to say."""
    sync = config.mapping("sync", optional=True)
    parts = {direction: sync.mapping(direction, optional=True) for direction in ("to_host", "from_host")}
    sync.nothing_else()
    return {f"{direction}.{name}": on for direction, part in parts.items() for name, on in part.flags().items()}


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


def _parse_probes(config: Fields) -> tuple[str, int] | None:
    if config.take("probes", (dict, type(None)), None) is None:
        return None
    fields = config.mapping("probes")
    found = fields.required("address"), _parse_port(fields)
    fields.nothing_else()
    return found


def _parse_gateway(tenant: Fields) -> EndpointConfig | None:
    if tenant.take("gateway", (dict, type(None)), None) is None:
        return None
    return _parse_endpoint(tenant.mapping("gateway"))


def _parse_metrics(tenant: Fields) -> MetricsConfig | None:
    if tenant.take("metrics", (dict, type(None)), None) is None:
        return None
    fields = tenant.mapping("metrics")
    told = tuple(each for each in (POD_METRICS, NODE_METRICS) if fields.flag(each.plural))
    if not told:
        raise ConfigError(f"{fields.source}: pods or nodes must be true; leave {fields.source} out for neither")
    config = MetricsConfig(
        endpoint=_parse_endpoint(fields.mapping("endpoint")), authority=Path(fields.required("authority")), told=told
    )
    fields.nothing_else()
    return config


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

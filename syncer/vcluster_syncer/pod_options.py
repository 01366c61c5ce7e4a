"""What the syncer is told when it carries the one virtual cluster of its own pod.

The one rule: pure readers, as in `tenant_options`. The pod's tenant stays as it was written until the pod is there:
what it leaves out (its host namespace, where its state is) only the pod knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vcluster_syncer.fields import ConfigError, Fields

SERVICE_ACCOUNT_DIRECTORY = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_STORE, _SERVER = "etcd", "kube-apiserver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Who has to show that he still wants the cluster."""

    lease: str
    """Name of a Lease in the pod's namespace."""
    seconds: float
    """So long it may stay as it is, or be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where the API server's state is."""

    etcd: Path
    """The socket at which etcd listens."""
    open: Path
    """The socket that the API server connects to: a link to the other one, made when the state is as it is to be."""
    prefix: str
    """What its keys begin with; ends in a slash."""
    irreplaceable: Sequence[str]
    """Commands of the processes that keep it: the cluster ends with them, though they may be started anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """A Service of the virtual cluster that is served by this pod."""

    namespace: str
    name: str
    ports: Sequence[Mapping[str, Any]]
    """As in an EndpointSlice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostService:
    """A Service of the host, in the pod's namespace, that leads to this pod."""

    name: str
    ports: Sequence[Mapping[str, Any]]
    """As in an EndpointSlice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodConfig:
    """The virtual cluster of this pod."""

    store: Store | None
    """None: the API server's state is somewhere else, and nothing is seeded or recycled."""
    seed: Path | None
    """What etcd holds before the API server reads it; None: nothing."""
    objects: Sequence[Mapping[str, Any]]
    """What has to be in the virtual cluster, besides what its components make."""
    endpoints: Sequence[Endpoints]
    host_services: Sequence[HostService]
    tenant: Mapping[str, Any]
    """The tenant as it is written; see `described`."""
    irreplaceable: Sequence[str]
    """The same of what serves it."""
    processes: Path
    """Where the system lists its processes."""


def parse_pod(config: Fields) -> PodConfig | None:
    """Read `pod`."""
    if config.take("pod", (dict, type(None)), None) is None:
        return None
    fields = config.mapping("pod")
    tenant = fields.take("tenant", dict, {})
    if not tenant:
        raise ConfigError(f"{fields.source}: tenant is missing")
    seed = fields.take("seed", (str, type(None)), None)
    endpoints = [_parse_endpoints(each, fields.source) for each in fields.take("endpoints", list, [])]
    # What is recycled must be what it was; elsewhere a server that is started anew has only been away for a while.
    is_recycled = bool(tenant.get("recycle"))
    pod = PodConfig(
        store=_parse_store(fields, irreplaceable=(_STORE,) if is_recycled else ()),
        seed=None if seed is None else Path(seed),
        objects=tuple(_checked(each, fields.source) for each in fields.take("objects", list, [])),
        endpoints=tuple(endpoints),
        host_services=tuple(
            _parse_host_service(each, fields.source) for each in fields.take("host_services", list, [])
        ),
        tenant=tenant,
        irreplaceable=fields.commands("irreplaceable", (_SERVER,) if is_recycled else ()),
        processes=Path(fields.take("processes", str, "/proc")),
    )
    if pod.store is None and (seed is not None or is_recycled):
        raise ConfigError(f"{fields.source}: store is missing, which seed and tenant.recycle write to")
    fields.nothing_else()
    return pod


def described(pod: PodConfig, *, namespace: str) -> Mapping[str, Any]:
    """Return the description of the pod's tenant, with what it left out."""
    recycle = pod.tenant.get("recycle")
    if isinstance(recycle, dict) and pod.store is not None:
        by = recycle.get("commands")
        recycle = {"etcd": str(pod.store.etcd), "prefix": pod.store.prefix, **recycle}
        if isinstance(by, dict):
            recycle["commands"] = {"directory": str(pod.processes), **by}
    return {"host_namespace": namespace, **pod.tenant, "recycle": recycle}


def parse_heartbeat(config: Fields) -> Heartbeat | None:
    """Read `heartbeat`."""
    if config.take("heartbeat", (dict, type(None)), None) is None:
        return None
    fields = config.mapping("heartbeat")
    heartbeat = Heartbeat(lease=fields.required("lease"), seconds=float(fields.take("seconds", (int, float), 45)))
    if heartbeat.seconds < 1:
        raise ConfigError(f"{fields.source}: seconds must be at least 1, it is {heartbeat.seconds:g}")
    fields.nothing_else()
    return heartbeat


def _parse_store(pod: Fields, *, irreplaceable: Sequence[str]) -> Store | None:
    if pod.take("store", (dict, type(None)), None) is None:
        return None
    fields = pod.mapping("store")
    prefix = fields.take("prefix", str, "/registry/")
    if not prefix.endswith("/"):
        # Otherwise /a would reach into /ab.
        raise ConfigError(f"{fields.source}: prefix must end with a slash, it is {prefix!r}")
    store = Store(
        etcd=Path(fields.required("etcd")),
        open=Path(fields.required("open")),
        prefix=prefix,
        irreplaceable=fields.commands("irreplaceable", irreplaceable),
    )
    fields.nothing_else()
    return store


def _parse_endpoints(value: object, source: str) -> Endpoints:
    if not isinstance(value, dict):
        raise ConfigError(f"{source}: endpoints must be a list of objects, one is {value!r}")
    fields = Fields(value, f"{source}.endpoints")
    found = Endpoints(
        namespace=fields.required("namespace"), name=fields.required("name"), ports=fields.take("ports", list, [])
    )
    fields.nothing_else()
    return found


def _parse_host_service(value: object, source: str) -> HostService:
    if not isinstance(value, dict):
        raise ConfigError(f"{source}: host_services must be a list of objects, one is {value!r}")
    fields = Fields(value, f"{source}.host_services")
    found = HostService(name=fields.required("name"), ports=fields.take("ports", list, []))
    fields.nothing_else()
    return found


def _checked(value: object, source: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(value.get(name) for name in ("apiVersion", "kind")):
        raise ConfigError(f"{source}: objects must be a list of objects with apiVersion and kind, one is {value!r}")
    if not (value.get("metadata") or {}).get("name"):
        raise ConfigError(f"{source}: objects: a {value['kind']} has no metadata.name")
    return value

"""kube-apiserver's arguments: upstream defaults, plus what makes a short-lived cluster start fast and stay quiet.

The one rule: nothing here may change what a client can observe of Kubernetes' semantics. Authorization is RBAC, all
default admission plugins are on, all default APIs are served.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.controlplane.addresses import Address
from pytest_vcluster.controlplane.component import GO_ENVIRONMENT, Component, flags

ISSUER = "https://kubernetes.default.svc.cluster.local"

KUBELET_ADDRESS_TYPE = "Kubelet"
"""Type of the node address at which an API server finds the node's kubelet; no other type is looked at."""
KUBELET_PORT = 10250

# Names under which a client may know the API server, besides its address.
SERVER_NAMES = (
    "localhost",
    "127.0.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)

# The two hooks that sleep a second before they look. What they make is in the template already, so a server that is
# ready but for them is ready. https://kubernetes.io/docs/reference/using-api/health-checks/
READY_PATH = (
    "/readyz?exclude=poststarthook/rbac/bootstrap-roles"
    "&exclude=poststarthook/scheduling/bootstrap-system-priority-classes"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one API server is told; `pki` is the directory that `plane` fills."""

    name: str
    address: Address
    etcd_socket: Path
    etcd_prefix: str
    service_range: str
    pki: Path
    disabled_admission: tuple[str, ...] = ()
    audit_policy: Path | None = None
    """What to note in `audit_log`; None notes nothing."""
    audit_log: Path | None = None


def component(binary: Path, settings: Settings) -> Component:
    """The kube-apiserver of `settings`."""
    pki = settings.pki
    arguments = {
        "bind-address": settings.address.ip,
        "secure-port": str(settings.address.port),
        "etcd-servers": f"unix://{settings.etcd_socket}",
        "etcd-prefix": settings.etcd_prefix,
        # One etcd serves many API servers: compaction is global there, and a recycler needs the history.
        "etcd-compaction-interval": "0",
        "etcd-count-metric-poll-period": "0",
        "etcd-db-metric-poll-interval": "0",
        "tls-cert-file": str(pki / "apiserver.crt"),
        "tls-private-key-file": str(pki / "apiserver.key"),
        "client-ca-file": str(pki / "client-ca.crt"),
        "requestheader-client-ca-file": str(pki / "front-proxy-ca.crt"),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": str(pki / "front-proxy-client.crt"),
        "proxy-client-key-file": str(pki / "front-proxy-client.key"),
        # The gateway, which is the kubelet of all nodes; the syncer tells where it is by this type of node address.
        "kubelet-preferred-address-types": KUBELET_ADDRESS_TYPE,
        "kubelet-certificate-authority": str(pki / "kubelet-ca.crt"),
        "kubelet-client-certificate": str(pki / "kubelet-client.crt"),
        "kubelet-client-key": str(pki / "kubelet-client.key"),
        "service-account-issuer": ISSUER,
        "service-account-key-file": str(pki / "service-accounts.pub"),
        "service-account-signing-key-file": str(pki / "service-accounts.key"),
        "service-cluster-ip-range": settings.service_range,
        "authorization-mode": "Node,RBAC",
        "allow-privileged": "true",
        # No Endpoints of ourselves to keep up to date, no hook to wait for at shutdown.
        "endpoint-reconciler-type": "none",
        # Keep a Lease from being rewritten every 10 s: nothing in a cluster at rest should change.
        "feature-gates": "APIServerIdentity=false,UnknownVersionInteroperabilityProxy=false",
        # A test suite is one client that may be as fast as it likes.
        "enable-priority-and-fairness": "false",
        "max-requests-inflight": "0",
        "max-mutating-requests-inflight": "0",
        "delete-collection-workers": "8",
        "profiling": "false",
        "v": "0",
    }
    if settings.disabled_admission:
        arguments["disable-admission-plugins"] = ",".join(settings.disabled_admission)
    if settings.audit_policy is not None:
        arguments |= {"audit-policy-file": str(settings.audit_policy), "audit-log-path": str(settings.audit_log)}
    return Component(
        name=f"{settings.name}/kube-apiserver",
        binary=binary,
        arguments=flags(arguments),
        environment=GO_ENVIRONMENT,
    )

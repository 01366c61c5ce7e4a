"""kube-controller-manager's arguments, for virtual clusters and for the embedded host.

The one rule: a virtual cluster runs every controller whose subject is virtual. Left out are those that look after
nodes, volumes and load balancers, because these belong to the host.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.controlplane.component import GO_ENVIRONMENT, Component, flags

_OF_THE_HOST = (
    "node-ipam-controller",
    "node-lifecycle-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-expander-controller",
    "ttl-controller",
)
# Gone from kube-controller-manager in 1.37, which refuses to start when it is told a name that it does not know.
_OF_THE_CLOUD = ("cloud-node-lifecycle-controller", "node-route-controller", "service-lb-controller")
_LAST_MINOR_WITH_CLOUD = 36
HOST_CONTROLLERS = (
    "endpointslice-controller",
    "ephemeral-volume-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "taint-eviction-controller",
)


def virtual_controllers(version: str) -> tuple[str, ...]:
    """What a virtual cluster of `version` (v1.36.4) runs: all that is on by default, but for what is the host's."""
    minor = int(version.split(".")[1])
    left_out = _OF_THE_HOST + (_OF_THE_CLOUD if minor <= _LAST_MINOR_WITH_CLOUD else ())
    return ("*", *(f"-{name}" for name in left_out))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one controller manager is told; `pki` is the directory that `plane` fills."""

    name: str
    kubeconfig: Path
    pki: Path
    controllers: Iterable[str]
    hostpath_provisioner: bool = False


def component(binary: Path, settings: Settings) -> Component:
    """The kube-controller-manager of `settings`."""
    arguments = {
        "kubeconfig": str(settings.kubeconfig),
        "controllers": ",".join(settings.controllers),
        "service-account-private-key-file": str(settings.pki / "service-accounts.key"),
        "root-ca-file": str(settings.pki / "server-ca.crt"),
        "cluster-signing-cert-file": str(settings.pki / "client-ca.crt"),
        "cluster-signing-key-file": str(settings.pki / "client-ca.key"),
        # One identity: fewer ServiceAccounts, tokens and informers. A test does not notice who reconciles.
        "use-service-account-credentials": "false",
        "leader-elect": "false",
        # No port: nobody scrapes it, and readiness is seen by what it does.
        "secure-port": "0",
        # At the default of 20 requests a second, a few Deployments at once take seconds.
        "kube-api-qps": "5000",
        "kube-api-burst": "10000",
        "concurrent-deployment-syncs": "10",
        "concurrent-replicaset-syncs": "10",
        "concurrent-statefulset-syncs": "10",
        "concurrent-namespace-syncs": "10",
        "concurrent-gc-syncs": "10",
        "profiling": "false",
        "v": "0",
    }
    if settings.hostpath_provisioner:
        arguments["enable-hostpath-provisioner"] = "true"
    return Component(
        name=f"{settings.name}/kube-controller-manager",
        binary=binary,
        arguments=flags(arguments),
        environment=GO_ENVIRONMENT,
    )

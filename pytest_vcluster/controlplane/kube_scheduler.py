"""kube-scheduler's arguments, for the embedded host: virtual clusters are scheduled by their host.

The one rule: stock scheduling; only the client limits are lifted.
"""

from __future__ import annotations

from pathlib import Path

from pytest_vcluster.controlplane.component import GO_ENVIRONMENT, Component, flags


def component(binary: Path, *, name: str, kubeconfig: Path) -> Component:
    """The kube-scheduler that works with `kubeconfig`."""
    arguments = {
        "kubeconfig": str(kubeconfig),
        "leader-elect": "false",
        "secure-port": "0",
        "kube-api-qps": "5000",
        "kube-api-burst": "10000",
        "profiling": "false",
        "v": "0",
    }
    return Component(
        name=f"{name}/kube-scheduler", binary=binary, arguments=flags(arguments), environment=GO_ENVIRONMENT
    )

"""kwok's arguments and stages: it plays the kubelets of the embedded host's simulated nodes.

The one rule: a simulated pod does what a healthy pod does, at once. A pod of a Job succeeds, every other one becomes
Ready and stays so; a deleted one goes. https://kwok.sigs.k8s.io/docs/user/stages-configuration/
"""

from __future__ import annotations

from pathlib import Path

from pytest_vcluster.controlplane.component import GO_ENVIRONMENT, Component, flags

NODE_LABEL = "pytest-vcluster/simulated"
STAGES = Path(__file__).with_name("kwok-stages.yaml")
_LEASE_SECONDS = 40  # what kubelets use


def component(binary: Path, *, name: str, kubeconfig: Path) -> Component:
    """The kwok that manages every node labelled NODE_LABEL with the stages in STAGES."""
    arguments = {
        "kubeconfig": str(kubeconfig),
        "config": str(STAGES),
        "manage-nodes-with-label-selector": f"{NODE_LABEL}=true",
        "node-lease-duration-seconds": str(_LEASE_SECONDS),
        "server-address": "",
        "v": "WARN",
    }
    return Component(name=f"{name}/kwok", binary=binary, arguments=flags(arguments), environment=GO_ENVIRONMENT)

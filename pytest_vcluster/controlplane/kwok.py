"""kwok's arguments and stages: it plays the kubelets of the embedded host's simulated nodes.

It runs confined, because commands in simulated pods are run by it on this machine, where else; see `confined`.

The one rule: a simulated pod does what a healthy pod does, at once. A pod of a Job succeeds, every other one becomes
Ready and stays so; a deleted one goes. https://kwok.sigs.k8s.io/docs/user/stages-configuration/
"""

from __future__ import annotations

import sys
from pathlib import Path

from pytest_vcluster.controlplane.addresses import Address
from pytest_vcluster.controlplane.component import GO_ENVIRONMENT, Component, flags
from pytest_vcluster.controlplane.simulated_containers import Containers

NODE_LABEL = "pytest-vcluster/simulated"
CONFINED = Path(__file__).with_name("confined.py")
STAGES = Path(__file__).with_name("kwok-stages.yaml")
_LEASE_SECONDS = 40  # what kubelets use


def component(binary: Path, *, name: str, kubeconfig: Path, kubelet: Address, containers: Containers) -> Component:
    """The kwok that manages every node labelled NODE_LABEL with the stages in STAGES, and answers for its containers.

    `kubelet` is where it listens, to anybody and without asking who it is.
    """
    arguments = {
        "kubeconfig": str(kubeconfig),
        "config": f"{STAGES},{containers.config}",
        "manage-nodes-with-label-selector": f"{NODE_LABEL}=true",
        "node-lease-duration-seconds": str(_LEASE_SECONDS),
        "server-address": f"{kubelet.ip}:{kubelet.port}",
        "v": "WARN",
    }
    confined = ("-I", "-S", str(CONFINED), f"--config={containers.commands}", str(binary))
    return Component(
        name=f"{name}/kwok",
        binary=Path(sys.executable),
        arguments=(*confined, *flags(arguments)),
        environment={**GO_ENVIRONMENT, "HOME": str(containers.folder)},
    )

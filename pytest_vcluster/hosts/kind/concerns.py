"""What is likely to go wrong with this Docker, from what `docker info` says.

The one rule: pure. Each concern says what is so and what to do; whether it is told before (`doctor`) or afterwards
(with the failure that it explains) is others' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

LEAST_BYTES = 4 * 2**30
"""A kind node takes 0.7 GiB, a virtual cluster up to a quarter, and tests have pods too."""


class Concern(NamedTuple):
    """Something to know about Docker."""

    text: str
    remedy: str


def of(info: Mapping[str, Any]) -> Iterator[Concern]:
    """Everything that `info` gives reason to be concerned about."""
    if str(info.get("CgroupVersion", "2")) == "1":
        yield Concern(
            "it is on cgroup v1, which kubelet refuses from Kubernetes 1.35 on",
            "Use a system with cgroup v2, a node image of an older Kubernetes (--vcluster-kind-image), or "
            "--vcluster-kind-config with an entry of kubeadmConfigPatches: {kind: KubeletConfiguration, failCgroupV1: "
            "false}.",
        )
    memory = info.get("MemTotal") or 0
    if 0 < memory < LEAST_BYTES:
        yield Concern(
            f"it has {memory / 2**30:.1f} GiB of memory",
            f"Give it {LEAST_BYTES >> 30} GiB or more (Docker Desktop: Settings, Resources), or use --vcluster-pool 1.",
        )
    if info.get("OSType", "linux") != "linux":
        yield Concern(f"it runs containers of {info['OSType']}", "Switch Docker to Linux containers.")


def told(info: Mapping[str, Any]) -> str:
    """All of them as lines to end an error with; empty if there are none."""
    return "".join(f"\nAbout this Docker: {concern.text}. {concern.remedy}" for concern in of(info))

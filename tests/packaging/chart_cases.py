"""What the chart's tests share: helm, and what it makes of values."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_vcluster.hosts.chart import chart_folder, render
from pytest_vcluster.toolchain import Component, Sources, Wanted, locate

NAME, NAMESPACE = "vc-1a2b3c4d", "tests"
PLUGIN: Mapping[str, Any] = {
    "certificates": {"secret": "vc-1a2b3c4d-pki"},
    "seed": {"secret": "vc-1a2b3c4d-seed"},
    "heartbeat": {"lease": "run-77"},
    "labels": {"pytest-vcluster/run": "77"},
    "service": {"nodePorts": True},
    "pod": {"terminationGracePeriodSeconds": 0},
}
"""As the plugin has it."""

Rule = tuple[str, str, str, str, tuple[str, ...]]


def helm() -> Path:
    """The toolchain's helm."""
    found = locate(Wanted.known(Component.HELM), Sources.from_environ(os.environ, offline=True))
    assert found is not None, "there is no helm: run `make packaging`, which gets it"
    return found.path


def rendered(values: Mapping[str, Any] | None = None, *, name: str = NAME) -> list[dict[str, Any]]:
    """The chart's objects."""
    return render(helm(), name, NAMESPACE, values or {})


def run_helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm on the chart."""
    command, *rest = arguments
    return subprocess.run(
        [helm(), command, *rest, str(chart_folder())], capture_output=True, text=True, check=False, timeout=60
    )


def one(objects: Iterable[Mapping[str, Any]], kind: str, name: str = NAME) -> dict[str, Any]:
    """The one object of that kind and name."""
    [found] = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return dict(found)


def names(objects: Iterable[Mapping[str, Any]]) -> list[str]:
    """Kinds and names, sorted."""
    return sorted(f"{each['kind']}/{each['metadata']['name']}" for each in objects)


def containers(objects: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pod's containers, by name, in order."""
    spec = one(objects, "StatefulSet")["spec"]["template"]["spec"]
    return {container["name"]: container for container in spec["containers"]}


def flat(rules: Iterable[Mapping[str, Any]], scope: str) -> set[Rule]:
    """Rules as single grants, which is how to compare them."""
    return {
        (scope, group, resource, verb, tuple(rule.get("resourceNames", ())))
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def rights(objects: Iterable[Mapping[str, Any]]) -> set[Rule]:
    """What the chart's Roles and ClusterRoles grant."""
    found: set[Rule] = set()
    for each in objects:
        if each["kind"] in ("Role", "ClusterRole"):
            found |= flat(each["rules"], each["kind"])
    return found

"""A team that has one namespace of somebody's cluster, and how it runs pytest there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_vcluster.hosts.in_cluster import existing
from pytest_vcluster.images.syncer import tag_of_installed
from pytest_vcluster.toolchain import Component, Sources, Wanted, locate

NAMESPACE = "team"


def rules() -> list[dict[str, object]]:
    """A Role with just the rights that are asked for."""
    helm = locate(Wanted.known(Component.HELM), Sources.from_environ({}, offline=True))
    assert helm is not None
    needed = existing.needed("v1.36.4", helm.path, "syncer", NAMESPACE)
    return [
        {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
        for right in needed
        if not right.everywhere
    ]


def arguments(kubeconfig: Path, *, context: str = "team") -> Sequence[str]:
    """Options for a pytest run on the team's host."""
    named = ["--vcluster-host", "existing", "--vcluster-kubeconfig", str(kubeconfig), "--vcluster-context", context]
    return [*named, "--vcluster-timeout", "150", "--vcluster-syncer-image", tag_of_installed()]


def run_pytest(
    kubeconfig: Path, folder: Path, *options: str, context: str = "team"
) -> subprocess.CompletedProcess[str]:
    """Run the tests in `folder` on the team's host, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments(kubeconfig, context=context)]
    return subprocess.run(
        [*command, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env=environment(),
    )


def environment() -> dict[str, str]:
    """This run's environment, but for what it was told about its own host, which is not meant for the team's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}

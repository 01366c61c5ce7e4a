"""Finding kind clusters of runs whose directories are here, or were: what a sweep goes by when those are gone.

The one rule: whether such a run is dead is not known here. It is told whose a cluster is, and how to remove it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.hosts.kind import docker, naming, nodes

_QUERY_SECONDS = 20.0


def wills(base: Path, environ: Mapping[str, str] = os.environ) -> dict[Path, LastWill]:
    """What removes the clusters of runs below `base`, dead or alive, by the run's directory.

    HostError if there is no Docker, or it doesn't answer.
    """
    program = docker.which(environ)
    environment = docker.environment(environ, program)
    command = [
        str(program),
        "ps",
        "--all",
        f"--filter=label={naming.CLUSTER_LABEL}",
        f"--filter=volume={naming.mark(base)}",
        f'--format={{{{.Label "{naming.CLUSTER_LABEL}"}}}}',
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=_QUERY_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise docker.refused(f"nothing within {_QUERY_SECONDS:.0f} s") from error
    if done.returncode:
        raise docker.refused(done.stderr.strip())
    runs = {name: naming.run_in(base, name) for name in set(done.stdout.split())}
    return {directory: nodes.will(program, environment, name) for name, directory in runs.items() if directory}

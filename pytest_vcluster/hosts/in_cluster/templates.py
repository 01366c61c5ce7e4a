"""States for new pods to begin with, made by the first one of their version and kept for all later runs.

The one rule: a state that is not there costs two seconds, never an error. It belongs to one version and one chart, and
its name tells both; where the host tells figures, it has the API for them in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from pytest_vcluster.controlplane.baseline import template_of
from pytest_vcluster.controlplane.datastore import without
from pytest_vcluster.controlplane.networks import ServiceRange
from pytest_vcluster.controlplane.template import Template
from pytest_vcluster.controlplane.template_store import missing_objects, root_ca
from pytest_vcluster.errors import Timeout
from pytest_vcluster.hosts.recyclable import Recyclable

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.05
_OF_ONE_POD = (b"endpointslices/", b"services/endpoints/")
"""They tell where the pod is; the syncer writes them at every start."""


def file_name(version: str, chart: Path, *, metrics: bool) -> str:
    """The name of the state for clusters of `version` that are made by `chart` as it is now, with `metrics` or not."""
    digest = hashlib.sha256(b"metrics\0" if metrics else b"")
    for path in sorted(chart.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(chart)}\0".encode() + path.read_bytes() + b"\0")
    return f"pod-{version}-{digest.hexdigest()[:16]}.json"


def read(cache: Path, name: str) -> Template | None:
    """The state of that name, if there is one that can be read."""
    try:
        return Template.load((cache / "templates" / name).read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def settle(cluster: Recyclable, seconds: float) -> None:
    """Wait until a cluster that began with nothing has all that it makes by itself; blocks. Timeout if it doesn't."""
    began = time.monotonic()
    with contextlib.closing(cluster.api()) as client:
        while missing := missing_objects(client):
            if (elapsed := time.monotonic() - began) > seconds:
                raise Timeout(
                    f"Settling of the first cluster of Kubernetes {cluster.version}",
                    elapsed=elapsed,
                    last_seen=f"still missing: {missing}",
                )
            time.sleep(_POLL_SECONDS)


def keep(cache: Path, name: str, cluster: Recyclable, *, service_range: ServiceRange) -> Template:
    """Make a state of `cluster`, which is as it was made, and keep it; blocks."""
    state = cluster.read()
    with contextlib.closing(cluster.api()) as client:
        made = of_first(cluster.version, state, root_ca(client, state), service_range=service_range)
    folder = cache / "templates"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = folder / f"{name}.{os.getpid()}.partial"
        partial.write_bytes(made.dump())
        partial.replace(folder / name)
    except OSError as error:
        # This run has it all the same.
        _log.warning("the state of %s can't be kept in %s: %s", cluster.version, folder, error)
    return made


def of_first(
    version: str,
    state: Mapping[bytes, bytes],
    publishers: Mapping[bytes, Mapping[str, object]],
    *,
    service_range: ServiceRange,
) -> Template:
    """Make a template of the `state` of a cluster that nobody has used yet."""
    return template_of(version, without(state, _OF_ONE_POD), publishers, service_range=service_range)

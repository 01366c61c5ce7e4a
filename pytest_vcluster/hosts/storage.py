"""Volumes on the embedded host: a default storage class, served by kube-controller-manager's host-path provisioner.

The one rule: it is the same class on the host and, from the start, in every virtual cluster. The provisioner makes a
directory for each volume; simulated pods write nothing there, so it stays empty, and the run's reaper removes it.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

DIRECTORIES = Path("/tmp/hostpath_pv")  # noqa: S108 - where the provisioner puts them, whatever TMPDIR says
STORAGE_CLASS: dict[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "standard",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": "kubernetes.io/host-path",
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
}
_MIRRORED = "vcluster-syncer/mirrored"


def mirrored_class(*, uid: str, now: datetime) -> dict[str, Any]:
    """The host's class as the syncer shows it in a virtual cluster."""
    metadata = STORAGE_CLASS["metadata"]
    mirrored = {"name": metadata["name"], "annotations": sorted(metadata["annotations"]), "labels": []}
    return {
        **STORAGE_CLASS,
        "metadata": {
            "name": metadata["name"],
            "uid": uid,
            "creationTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "annotations": {**metadata["annotations"], _MIRRORED: json.dumps(mirrored, separators=(",", ":"))},
        },
    }


def stored_class(new_uid: Callable[[], str] = lambda: str(uuid.uuid4())) -> dict[bytes, bytes]:
    """What a virtual cluster starts with in its data store, so that the class is there before the host is.

    The first test of a run does not wait for the host; a claim of its must get its class all the same.
    """
    made = mirrored_class(uid=new_uid(), now=datetime.now(UTC))
    return {f"storageclasses/{made['metadata']['name']}".encode(): json.dumps(made, separators=(",", ":")).encode()}


def prepare() -> None:
    """Make the parent of all directories, for every user of this machine; the provisioner would make it for one."""
    with contextlib.suppress(FileExistsError):
        DIRECTORIES.mkdir(mode=0o700)
        DIRECTORIES.chmod(0o1777)

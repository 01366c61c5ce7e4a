"""Where in the cache the template for a control plane is.

The one rule: the name holds a digest of everything that shapes a template, so that one made for something else is never
found.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from pytest_vcluster.controlplane import kube_apiserver, kube_controller_manager
from pytest_vcluster.controlplane.addresses import Address
from pytest_vcluster.controlplane.networks import ORIGIN
from pytest_vcluster.controlplane.plane import PlaneSettings

# Raised when the making of templates changes in a way that their arguments don't show.
_GENERATION = 2


def path(settings: PlaneSettings, cache: Path) -> Path:
    """The file in `cache` of the template for `settings`, which may not be there."""
    return cache / "templates" / file_name(settings)


def file_name(settings: PlaneSettings) -> str:
    """The name of the template for `settings`: a pure function of version and arguments, without paths and ports."""
    neutral = replace(settings, name="template", directory=Path("/d"), etcd_socket=Path("/e"))
    pki = neutral.directory / "pki"
    arguments = [
        kube_apiserver.component(
            Path("kube-apiserver"),
            kube_apiserver.Settings(
                name=neutral.name,
                address=Address("127.0.0.1", 1),
                etcd_socket=neutral.etcd_socket,
                etcd_prefix="/p",
                service_range=ORIGIN.cidr,
                pki=pki,
                disabled_admission=neutral.disabled_admission,
            ),
        ).arguments,
        kube_controller_manager.component(
            Path("kube-controller-manager"),
            kube_controller_manager.Settings(
                name=neutral.name, kubeconfig=pki, pki=pki, controllers=neutral.controllers
            ),
        ).arguments,
    ]
    digest = hashlib.sha256(json.dumps([_GENERATION, settings.version, arguments]).encode()).hexdigest()
    return f"{settings.version}-{digest[:16]}.json"

"""The certificates and the stored state that a bare kube-apiserver is started with.

The one rule: the same code makes them that makes them for our clusters, so both start on the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import suite
from bench.model import Ground, NotMeasured
from pytest_vcluster.controlplane import kube_controller_manager, template_name
from pytest_vcluster.controlplane.key_maker import make_here
from pytest_vcluster.controlplane.networks import SERVICE_RANGES
from pytest_vcluster.controlplane.plane import PlaneSettings
from pytest_vcluster.controlplane.template import Template
from pytest_vcluster.toolchain import Component

_ONE_TEST = "def test_makes_the_template(vcluster):\n    assert vcluster.url\n"


def template_of(ground: Ground) -> Template:
    """The template of the version, out of the cache; where it is not there yet a run of one test makes it."""
    spare = SERVICE_RANGES[-1]
    settings = PlaneSettings(
        name="bench",
        version=ground.version,
        directory=ground.directory,
        etcd_socket=ground.directory,
        service_range=spare.cidr,
        kubernetes_service_ip=spare.kubernetes_ip,
        apiserver_binary=ground.binaries[Component.KUBE_APISERVER],
        controller_manager_binary=ground.binaries[Component.KUBE_CONTROLLER_MANAGER],
        controllers=kube_controller_manager.virtual_controllers(ground.version),
        timeout=0,
    )
    path = template_name.path(settings, ground.sources.cache)
    if not path.exists():
        suite.run(suite.project(ground, "makes-template", tests=_ONE_TEST))
    try:
        return Template.load(path.read_bytes())
    except (OSError, ValueError) as error:
        raise NotMeasured(
            f"no template of {ground.version} in the cache after a run that needed one: {error}"
        ) from error


def certificates(directory: Path, *, hosts: Sequence[str]) -> None:
    """Write all that kube-apiserver wants to read, and a client certificate for an administrator."""
    directory.mkdir()
    material = make_here("bare", hosts)
    for name, pair in material.pairs.items():
        (directory / f"{name}.crt").write_text(pair.certificate)
        (directory / f"{name}.key").write_text(pair.key)
    (directory / "service-accounts.key").write_text(material.signing.private)
    (directory / "service-accounts.pub").write_text(material.signing.public)

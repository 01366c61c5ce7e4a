"""Webhooks and an API that a pod of the virtual cluster serves, which its API server reaches through their Service."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
import serving_pod

from pytest_vcluster.controlplane.pki import CertificateAuthority
from pytest_vcluster.errors import ApiError, KubectlError

IMAGE = "python:3.13-slim"
SERVICE = {"name": "server", "namespace": "serving", "port": 443}
OF_DEFAULT = {"matchLabels": {"kubernetes.io/metadata.name": "default"}}
AUTHORITY = CertificateAuthority.new("the pod's")
CA_BUNDLE = base64.b64encode(AUTHORITY.certificate.encode()).decode()


def made(kind, name, **fields):
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "serving"}, **fields}


def serving():
    """The server in its pod, behind its Service."""
    pair = AUTHORITY.server("server", hosts=["server.serving.svc"])
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["python", "/program/serving_pod.py", "8443", "/certificates/tls.crt", "/certificates/tls.key"],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8443, "scheme": "HTTPS"}, "periodSeconds": 1},
        "volumeMounts": [
            {"name": "program", "mountPath": "/program"},
            {"name": "certificates", "mountPath": "/certificates"},
        ],
    }
    volumes = [
        {"name": "program", "configMap": {"name": "program"}},
        {"name": "certificates", "secret": {"secretName": "certificates"}},
    ]
    pod = made(
        "Pod", "server", spec={"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}
    )
    pod["metadata"]["labels"] = {"app": "server"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "serving"}},
        made("ConfigMap", "program", data={"serving_pod.py": Path(serving_pod.__file__).read_text()}),
        made("Secret", "certificates", stringData={"tls.crt": pair.certificate, "tls.key": pair.key}),
        pod,
        made("Service", "server", spec={"selector": {"app": "server"}, "ports": [{"port": 443, "targetPort": 8443}]}),
    ]


def hook(kind, path):
    """A configuration that has the pod asked at `path` about ConfigMaps in the namespace `default`."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "pod"},
        "webhooks": [
            {
                "name": "pod.example.com",
                "clientConfig": {"service": {**SERVICE, "path": path}, "caBundle": CA_BUNDLE},
                "rules": [rule],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "namespaceSelector": OF_DEFAULT,
            }
        ],
    }


def definition():
    """Boxes, whose two versions the pod converts."""
    open_spec = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": open_spec}}}
    client = {"service": {**SERVICE, "path": "/convert"}, "caBundle": CA_BUNDLE}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boxes.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"kind": "Box", "plural": "boxes"},
            "conversion": {
                "strategy": "Webhook",
                "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": client},
            },
            "versions": [
                {"name": name, "served": True, "storage": name == "v1", "schema": schema} for name in ("v1", "v2")
            ],
        },
    }


@pytest.fixture(scope="module")
def cluster(vcluster_module):
    """A cluster with the pod that serves, ready."""
    vcluster_module.load_image(IMAGE)
    vcluster_module.apply(serving())
    vcluster_module.wait("pod/server", "Ready", namespace="serving", timeout=180)
    return vcluster_module


def asked(call, *, wanted, seconds=60.0):
    """What `call` says as soon as that has `wanted` in it: configurations and Services take a moment to be known."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            said = json.dumps(call())
        except (ApiError, KubectlError) as error:
            said = str(error)
        if wanted in said:
            return said
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {wanted!r}; last seen: {said}"
        time.sleep(0.2)


def config_map(**metadata):
    name = f"made-{time.monotonic_ns()}"
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


def test_a_pod_validates(cluster):
    cluster.apply(hook("ValidatingWebhookConfiguration", "/validate"))
    try:
        asked(lambda: cluster.apply(config_map(labels={"bad": "yes"})), wanted="a pod says no")
        cluster.apply(config_map())
    finally:
        cluster.delete("validatingwebhookconfiguration/pod")


def test_a_pod_mutates(cluster):
    cluster.apply(hook("MutatingWebhookConfiguration", "/mutate"))
    try:
        asked(lambda: cluster.apply(config_map()), wanted='"seen": "by-a-pod"')
    finally:
        cluster.delete("mutatingwebhookconfiguration/pod")


def test_a_pod_converts(cluster):
    cluster.apply(definition())
    box = {"apiVersion": "example.com/v2", "kind": "Box", "metadata": {"name": "first"}, "spec": {"width": 3}}

    asked(lambda: cluster.apply(box), wanted='"width": 3')

    assert cluster.get("boxes.v1.example.com", "first")["spec"] == {"size": 3}
    assert cluster.get("boxes.v2.example.com", "first")["spec"] == {"width": 3}


def test_a_pod_serves_an_api(cluster):
    group = serving_pod.GROUP
    spec = {"group": group, "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 15}
    service = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": f"v1.{group}"}}
    cluster.apply({**service, "spec": {**spec, "service": SERVICE, "caBundle": CA_BUNDLE}})
    try:
        cluster.wait(f"apiservice/v1.{group}", "Available", timeout=180)
        said = asked(lambda: cluster.kubectl("get", "--raw", f"/apis/{group}/v1/things"), wanted="ThingList")
        (thing,) = json.loads(json.loads(said))["items"]
        # The API server has told the pod who asks, as it would tell any aggregated API server.
        assert "system:masters" in thing["spec"]["groups"]
        assert cluster.kubectl("get", "things", "-o", "name").split() == [f"thing.{group}/only"]
    finally:
        cluster.delete(f"apiservice/v1.{group}")

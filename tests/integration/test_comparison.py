"""Real clusters compared: two fresh ones are alike, and whatever is done to one is told."""

import time

import pytest
from cluster_objects import config_map, definition

from pytest_vcluster.cluster.rest import JSON_PATCH
from pytest_vcluster.comparison import differences, read
from pytest_vcluster.comparison.reading import all_schemas

FRESH = pytest.mark.vcluster(isolation="fresh")
VIEW = "clusterroles.rbac.authorization.k8s.io view"
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"


def state_of(cluster, **how):
    # The first cluster of a run may be ahead of them.
    cluster.kubectl("wait", "--for=create", "node/node-3", "--timeout=120s", timeout=130)
    cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=120s", timeout=130)
    return read(cluster.api.rest, **how)


@pytest.fixture(scope="module")
def expected(vcluster_module):
    return state_of(vcluster_module, with_schema=all_schemas)


def told(expected, cluster):
    return differences(expected, read(cluster.api.rest, with_schema=expected.has_other_schema))


@FRESH
def test_what_is_done_to_a_fresh_cluster_is_told(expected, vcluster):
    assert differences(expected, state_of(vcluster)) == []

    vcluster.apply(config_map("left", a="b"))
    assert told(expected, vcluster) == ["configmaps default/left: extra (written by pytest-vcluster)"]
    vcluster.delete("configmap/left")
    assert told(expected, vcluster) == []

    patch = [{"op": "add", "path": "/metadata/labels/example.org~1mark", "value": "x"}]
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/view"
    vcluster.api.rest.call("PATCH", path, body=patch, content_type=JSON_PATCH)
    lines = told(expected, vcluster)
    assert lines[0] == f'{VIEW} .metadata.labels[example.org/mark]: extra, "x" found'
    assert all(line.startswith(f"{VIEW} .metadata.managedFields[") for line in lines[1:])


@FRESH
def test_a_definition_and_what_it_serves_are_told_until_it_is_gone(expected, vcluster):
    state_of(vcluster)
    vcluster.apply(definition("widgets"))
    lines = told(expected, vcluster)
    assert [line for line in lines if not line.startswith(("discovery", "openapi"))] == [
        "apiservices.apiregistration.k8s.io v1.example.com: extra (written by kube-apiserver)",
        f"{DEFINITIONS} widgets.example.com: extra (written by kube-apiserver, pytest-vcluster, python-urllib3)",
    ]
    assert {line.partition(":")[0] for line in lines if line.startswith("discovery")} == {
        "discovery /apis (aggregated) .items[example.com]",
        "discovery /apis .groups[example.com]",
        "discovery /apis/example.com",
        "discovery /apis/example.com/v1",
    }
    vcluster.delete(definition("widgets"))
    deadline = time.monotonic() + 60
    while (left := told(expected, vcluster)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


@FRESH
def test_a_webhook_configuration_is_told(expected, vcluster):
    state_of(vcluster)
    hook = {
        "name": "w.example.org",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [{"apiGroups": ["example.org"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["none"]}],
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    vcluster.apply(
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "w"},
            "webhooks": [hook],
        }
    )
    assert told(expected, vcluster) == [
        "validatingwebhookconfigurations.admissionregistration.k8s.io w: extra (written by pytest-vcluster)"
    ]

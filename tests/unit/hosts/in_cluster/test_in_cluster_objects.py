"""What one virtual cluster on a host is made of: keys, the state to begin with, objects and their owner."""

import base64
import gzip
import json
import random

import pytest

from pytest_vcluster.controlplane import key_maker
from pytest_vcluster.errors import ApiError
from pytest_vcluster.hosts.in_cluster import files, objects, templates
from pytest_vcluster.hosts.in_cluster.host import tells_metrics

READ_BY_THE_CHART = {
    "admin-api-ca.crt", "admin-api.crt", "admin-api.key", "apiserver.crt", "apiserver.key", "client-ca.crt",
    "client-ca.key", "controller-manager.kubeconfig",
    "coredns.kubeconfig", "front-proxy-ca.crt", "front-proxy-client.crt", "front-proxy-client.key", "kubeconfig",
    "kubelet-ca.crt", "kubelet-client.crt", "kubelet-client.key", "kubelet.crt", "kubelet.key", "server-ca.crt",
    "service-accounts.key", "service-accounts.pub",
}  # fmt: skip


@pytest.fixture(scope="module")
def keys():
    material = key_maker.make_here("vc-1", ["127.0.0.1"])
    return files.key_files("vc-1", material, files.admin_api("vc-1", ["127.0.0.1"]))


def test_the_pod_gets_what_it_reads_and_no_key_of_an_authority_but_the_one_it_signs_with(keys):
    assert set(files.for_the_pod(keys)) == READ_BY_THE_CHART


def test_what_only_this_side_has(keys):
    ours = set(keys) - set(files.for_the_pod(keys))
    assert {"admin.crt", "admin.key", "admin-api-client.crt", "admin-api-client.key"} <= ours
    assert {file for file in ours if file.endswith("-ca.key")} == {
        "front-proxy-ca.key",
        "kubelet-ca.key",
        "server-ca.key",
    } & set(keys)


def test_kubeconfigs_lead_to_the_pods_own_server(keys):
    for file in ("kubeconfig", "controller-manager.kubeconfig", "coredns.kubeconfig"):
        [cluster] = json.loads(keys[file])["clusters"]
        assert cluster["cluster"]["server"] == "https://127.0.0.1:6443"


def test_a_seed_is_read_back_as_it_was():
    entries = {b"namespaces/default": b"k8s\0\xff", b"configmaps/a/b": b""}
    read = json.loads(gzip.decompress(files.seed(entries)))["entries"]
    assert {key.encode(): base64.b64decode(value) for key, value in read.items()} == entries


def test_what_does_not_fit_into_a_secret_is_told():
    noise = random.Random(0).randbytes(files.MOST_SEED_BYTES)
    assert files.fits({b"a": b"x" * files.MOST_SEED_BYTES})
    assert not files.fits({b"a": noise})


def document(kind, name):
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}


def test_the_service_comes_first_and_the_stateful_set_last():
    rendered = [
        document("StatefulSet", "vc-1"),
        document("Service", "vc-1-node"),
        document("Service", "vc-1"),
        document("Role", "vc-1"),
    ]
    root, others = objects.split(rendered, "vc-1")
    assert root["metadata"]["name"] == "vc-1"
    assert [found["kind"] for found in others] == ["Service", "Role", "StatefulSet"]


def test_all_that_can_be_is_owned_by_the_service():
    owned = objects.owned(document("Secret", "s"), owner="vc-1", uid="u")
    assert owned["metadata"]["ownerReferences"] == [{"apiVersion": "v1", "kind": "Service", "name": "vc-1", "uid": "u"}]
    assert "ownerReferences" not in objects.owned(document("ClusterRole", "r"), owner="vc-1", uid="u")["metadata"]


def test_collections():
    assert objects.collection("Secret", "ns") == "/api/v1/namespaces/ns/secrets"
    assert objects.collection("StatefulSet", "ns") == "/apis/apps/v1/namespaces/ns/statefulsets"
    assert objects.collection("ClusterRole", "ns") == "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    with pytest.raises(KeyError):
        objects.collection("Deployment", "ns")


def values(**changes):
    told = {
        "version": "v1.36.4", "labels": {}, "service_range": "10.96.0.0/24", "kubernetes_ip": "10.96.0.1",
        "dns_ip": "10.96.0.10", "node_ports": False, "keys": "k", "seed": "s", "nodes": "fake", "metrics": False,
        "lease": "l", "syncer_image": "i", "sync": (),
    }  # fmt: skip
    return objects.values(**{**told, **changes})


def test_what_else_is_shared_is_told_the_chart():
    assert values()["sync"] == {"fromHost": {"storageClasses": False}}
    told = values(sync=("to_host.network_policies", "from_host.ingress_classes"), nodes="shared")
    assert told["sync"] == {
        "toHost": {"networkPolicies": True},
        "fromHost": {"storageClasses": True, "ingressClasses": True},
    }


@pytest.mark.parametrize(
    ("metrics", "nodes", "told"),
    [
        (False, "shared", {"pods": False, "nodes": False}),
        (True, "shared", {"pods": True, "nodes": True}),
        # What nodes use is read with a right that goes beyond the namespace.
        (True, "fake", {"pods": True, "nodes": False}),
    ],
)
def test_figures_are_told_where_the_host_has_them(metrics, nodes, told):
    assert values(metrics=metrics, nodes=nodes)["metrics"] == told


class Measuring:
    """A host with a metrics server or without, that allows to read its figures or doesn't."""

    def __init__(self, *, status, allowed):
        self.status = status
        self.allowed = allowed

    def call(self, method, path, body=None):
        if body is None:
            if self.status != 200:
                raise ApiError("no", status=self.status, reason="", method=method, path=path)
            return {}
        asked = body["spec"]["resourceAttributes"]
        assert (asked["group"], asked["resource"], asked["namespace"]) == ("metrics.k8s.io", "pods", "team")
        return {"status": {"allowed": self.allowed}}


@pytest.mark.parametrize(
    ("status", "allowed", "expected"), [(200, True, True), (200, False, False), (404, True, False), (503, True, False)]
)
def test_a_host_tells_figures_if_it_has_them_and_lets_us_hand_them_on(status, allowed, expected):
    assert tells_metrics(Measuring(status=status, allowed=allowed), "team") is expected


def test_a_state_with_figures_is_another_than_one_without(tmp_path):
    (tmp_path / "Chart.yaml").write_text("name: x")
    named = {templates.file_name("v1.36.4", tmp_path, metrics=metrics) for metrics in (True, False)}
    assert len(named) == 2

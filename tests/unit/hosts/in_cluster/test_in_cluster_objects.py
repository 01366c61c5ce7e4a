"""What one virtual cluster on a host is made of: keys, the state to begin with, objects and their owner."""

import base64
import gzip
import json
import random

import pytest

from pytest_vcluster.controlplane import key_maker
from pytest_vcluster.hosts.in_cluster import files, objects

READ_BY_THE_CHART = {
    "admin-api-ca.crt", "admin-api.crt", "admin-api.key", "apiserver.crt", "apiserver.key", "client-ca.crt",
    "client-ca.key",
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
    for file in ("kubeconfig", "coredns.kubeconfig"):
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

"""The ways into a real cluster that a handle gives, and those that it does not."""

import os
import stat
import time

import pytest
from cluster_objects import config_map, custom, definition, deployment
from kubernetes import client, config

from pytest_vcluster.errors import KubectlError, NotAvailableOnHost, Timeout


def test_the_handle_says_what_it_is(vcluster_module):
    served = vcluster_module.api.rest.call("GET", "/version")["gitVersion"]
    assert served == vcluster_module.version
    assert vcluster_module.kubeconfig_dict["clusters"][0]["cluster"]["server"] == vcluster_module.url
    assert stat.S_IMODE(vcluster_module.kubeconfig.stat().st_mode) == 0o600
    assert vcluster_module.kubectl("config", "current-context").strip() == vcluster_module.context


def test_kubectl_is_of_the_clusters_version_and_sees_this_cluster_only(vcluster_module, monkeypatch, tmp_path):
    (tmp_path / "mine").write_text("not a kubeconfig")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "mine"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert f"Client Version: {vcluster_module.version}" in vcluster_module.kubectl("version")
    assert "default" in vcluster_module.kubectl("get", "namespaces")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_kubectl_discovers_a_kind_that_was_not_there_when_it_last_looked(vcluster_module):
    vcluster_module.kubectl("api-resources")
    vcluster_module.apply([definition("lamps"), custom("Lamp", "a", size=1)])
    assert "lamp.example.com/a" in vcluster_module.kubectl("get", "lamps", "--output", "name")


def test_kubectl_takes_input_and_fails_with_what_it_said(vcluster_module):
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: piped}\n"
    assert vcluster_module.kubectl("apply", "-f", "-", input=manifest) == "configmap/piped created\n"
    with pytest.raises(KubectlError, match='configmaps "none" not found') as caught:
        vcluster_module.kubectl("get", "cm", "none")
    assert caught.value.returncode == 1
    assert vcluster_module.kubectl("get", "cm", "none", check=False) == ""
    with pytest.raises(Timeout, match="kubectl get cm --watch"):
        vcluster_module.kubectl("get", "cm", "--watch", timeout=0.5)


def test_the_official_client_is_pointed_here(vcluster_module, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    core = client.CoreV1Api(vcluster_module.api_client())
    core.create_namespaced_config_map("default", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="official")))
    assert vcluster_module.get("cm", "official")["metadata"]["name"] == "official"


def test_within_use_clients_without_arguments_come_here(vcluster_module, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    vcluster_module.apply(config_map("found-by-use"))
    with vcluster_module.use():
        with client.ApiClient(configuration := client.Configuration()) as api:
            config.load_kube_config(client_configuration=configuration)
        with client.ApiClient(configuration) as api:
            client.CoreV1Api(api).read_namespaced_config_map("found-by-use", "default")
            api.rest_client.pool_manager.clear()
    assert os.environ["KUBECONFIG"] == "/nowhere"


def test_a_user_may_do_what_is_granted_and_nothing_else(vcluster_module):
    path = vcluster_module.add_user("alice", groups=["devs"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def can(verb, what):
        return vcluster_module.kubectl("--kubeconfig", path, "auth", "can-i", verb, what, check=False).strip()

    assert (
        vcluster_module.kubectl("--kubeconfig", path, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
        == "alice"
    )
    assert can("list", "configmaps") == "no"
    vcluster_module.apply({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "devs", "namespace": "default"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "devs"}],
    })  # fmt: skip
    deadline = time.monotonic() + 60
    while can("list", "configmaps") != "yes":  # what was granted holds a moment later
        assert time.monotonic() < deadline
    assert can("delete", "configmaps") == "no"


def test_the_host_shows_under_which_names_things_run(vcluster_host, vcluster):
    vcluster.apply(deployment("hosted"))
    vcluster.wait("deployment/hosted", "condition=Available")
    (here,) = vcluster.get("pods", selector="app=hosted")
    assert vcluster.host.kind == vcluster_host.kind
    there = vcluster.host.object("pod", here["metadata"]["name"])
    assert there["metadata"]["namespace"] == vcluster.host.namespace
    assert there["metadata"]["name"] == vcluster.host.name_of("pods", here["metadata"]["name"])
    assert there["metadata"]["name"] != here["metadata"]["name"]
    assert len(vcluster.host.objects("nodes")) == 3


def test_images_can_not_be_loaded_where_nodes_are_simulated(vcluster_module):
    with pytest.raises(NotAvailableOnHost, match="embedded.*--vcluster-host kind"):
        vcluster_module.load_image("busybox:1.37")

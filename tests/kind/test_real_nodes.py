"""Virtual clusters that are pods of a kind cluster: what only real containers show."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from pytest_vcluster.errors import ApiError, CommandError, ProvisionError

IMAGE = "busybox:1.37"


def pod(name, *command, image=IMAGE, **spec):
    container = {"name": "main", "image": image, "command": ["sh", "-c", " ".join(command)]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def logged(vcluster, name, wanted):
    """What a container has logged, as soon as that is `wanted`: it is ready before it says anything."""
    deadline = time.monotonic() + 60
    while (text := vcluster.logs(name)) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return text


def test_logs_commands_and_ports_of_a_real_container(vcluster):
    vcluster.apply(pod("web", "echo started; mkdir /w; echo hello > /w/index.html; httpd -f -p 8080 -h /w"))
    vcluster.wait("pod/web", "Ready")
    assert logged(vcluster, "web", "started\n") == "started\n"
    assert vcluster.exec("web", "cat", input="through") == "through"
    with pytest.raises(CommandError) as failed:
        vcluster.exec("web", "sh", "-c", "echo no >&2; exit 7")
    assert (failed.value.returncode, failed.value.stderr) == (7, "no\n")
    with (
        vcluster.port_forward("pod/web", 8080) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer,
    ):
        assert answer.read() == b"hello\n"


def test_an_image_of_this_machine_is_brought_to_the_nodes(vcluster):
    reference = f"vcluster-test-{time.monotonic_ns()}:dev"
    subprocess.run(["docker", "tag", IMAGE, reference], check=True)
    try:
        vcluster.load_image(reference)
    finally:
        subprocess.run(["docker", "rmi", reference], check=True, capture_output=True)
    made = pod("loaded", "sleep 1000", image=reference)
    made["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    vcluster.apply(made)
    vcluster.wait("pod/loaded", "Ready")


@pytest.fixture(scope="module")
def used():
    """Names of the clusters in which kinds were defined."""
    return []


@pytest.mark.parametrize("kind", ["integer", "string", "boolean", "number", "object"])
def test_a_kind_of_ones_own(vcluster, used, kind):
    spec = {"type": "object", "properties": {"size": {"type": kind}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    vcluster.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "gadgets.example.org"},
            "spec": {
                "group": "example.org",
                "names": {"kind": "Gadget", "plural": "gadgets"},
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        }
    )
    values = {"integer": 3, "string": "x", "boolean": True, "number": 0.5, "object": {}}
    gadget = {"apiVersion": "example.org/v1", "kind": "Gadget", "metadata": {"name": "mine"}}
    with pytest.raises(ApiError):
        vcluster.apply({**gadget, "spec": {"size": "x" if kind != "string" else 3}})
    vcluster.apply({**gadget, "spec": {"size": values[kind]}})
    used.append(vcluster.name)


def test_clusters_in_which_kinds_were_defined_served_again(used):
    # Seldom the controller manager looks just then, every 30 s, and the cluster is retired.
    assert len(set(used)) < len(used), used


def test_a_pod_that_does_not_want_to_end(vcluster):
    stubborn = pod("same", "trap '' TERM; sleep 1000 & wait; sleep 1000", terminationGracePeriodSeconds=600)
    vcluster.apply(stubborn)
    vcluster.wait("pod/same", "Ready")


def test_the_next_test_has_a_pod_of_the_same_name_at_once(vcluster):
    assert vcluster.get("pods") == []
    vcluster.apply(pod("same", "echo mine; sleep 1000"))
    vcluster.wait("pod/same", "Ready")
    assert logged(vcluster, "same", "mine\n") == "mine\n"


def test_a_pods_token_is_of_its_own_cluster_and_opens_nothing_of_the_host(vcluster, vcluster_host):
    vcluster.apply(pod("inside", "sleep 1000"))
    vcluster.wait("pod/inside", "Ready")
    token = vcluster.exec("inside", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["kubernetes.io"]["pod"]["name"] == "inside"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(
        f"{vcluster_host.url}/api/v1/namespaces", headers={"Authorization": f"Bearer {token}"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, context=context, timeout=30)
    assert refused.value.code == 401
    refused.value.close()


def test_the_admin_reaches_neither_the_syncer_nor_the_pods_of_others(vcluster):
    # The control plane's own pod is in the same host namespace, under a name that the virtual cluster does not know.
    assert [found["metadata"]["name"] for found in vcluster.get("pods", namespace="*")] == []
    for path in ("log", "exec?command=id&stdout=true"):
        with pytest.raises(ApiError) as refused:
            vcluster.api.rest.call("GET", f"/api/v1/namespaces/default/pods/{vcluster.name}-0/{path}")
        assert refused.value.status == 404


def test_the_syncer_takes_no_orders_from_who_has_no_certificate(vcluster):
    ip, _, port = vcluster.lease.grant.host["syncer_address"].rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        socket.create_connection((ip, int(port)), timeout=30) as plain,
        context.wrap_socket(plain) as secured,
    ):
        secured.sendall(b"GET /v1/tenants HTTP/1.1\r\nHost: x\r\n\r\n")
        assert secured.recv(1000) == b""
        raise ConnectionError("closed without an answer")


def test_nodes_are_the_hosts_and_can_not_be_asked_for(vcluster_factory, vcluster):
    assert [node["status"]["nodeInfo"]["kubeletVersion"] for node in vcluster.get("nodes")] == [vcluster.host.version]
    with (
        pytest.raises(ProvisionError, match="Simulated nodes .* are those of the embedded host"),
        vcluster_factory(nodes=5),
    ):
        pass


def test_evidence_has_the_logs_of_the_pods_components(vcluster, tmp_path):
    vcluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "seen"}})
    folder = vcluster.evidence(tmp_path / "evidence", timeout=60)
    assert {path.stem for path in (folder / "logs").iterdir()} >= {"syncer", "kube-apiserver", "etcd"}
    assert (folder / "objects/default/configmap/seen.yaml").exists()
    assert not (folder / "errors.txt").exists()

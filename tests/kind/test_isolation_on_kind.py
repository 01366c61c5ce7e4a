"""Whoever is an administrator of a virtual cluster, or a pod in it, tries to get out; on real nodes."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request

import pytest
import yaml

from pytest_vcluster.cluster.rest import tls_context
from pytest_vcluster.errors import ApiError
from pytest_vcluster.images.syncer import tag_of_installed

pytestmark = pytest.mark.timeout(600)

# Says how a server answers to the pod's own token; the authority that it trusts is that of the pod's own cluster.
ASK = """
import json, ssl, sys, urllib.request, urllib.error
url, authority = sys.argv[1:]
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
context = ssl.create_default_context(cafile=folder + "ca.crt")
if authority == "anybody":
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
request = urllib.request.Request(url, headers={"Authorization": "Bearer " + open(folder + "token").read()})
try:
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:
        status, text = answer.status, answer.read().decode()
except urllib.error.HTTPError as error:
    status, text = error.code, error.read().decode()
print(json.dumps([status, text]))
"""

LISTED = """
import pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    if not path.name.startswith("."):
        print(f"{path.name}: {path.read_text()}")
"""
# An API server proxies to no loopback address, at which it has the gateway; and that would know no such pod.
NOT_PROXIED = (400, 404)


def pod(name, namespace="default", labels=None, **spec):
    """A pod that has Python in it: its image is on the nodes already."""
    container = {
        "name": "syncer",  # as the control plane's
        "image": tag_of_installed(),
        "command": ["python", "-c", f"import time; print('said by {name}', flush=True); time.sleep(3600)"],
        "volumeMounts": [
            {"name": found["name"], "mountPath": f"/{found['name']}"} for found in spec.get("volumes", ())
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


def asked(vcluster, url, *, trusting="own"):
    """How a server answers to pod `inside`, with the status and the text."""
    return tuple(json.loads(vcluster.exec("inside", "python", "-c", ASK, url, trusting)))


def refused(vcluster, path):
    """The status with which the virtual API server refuses its administrator."""
    with pytest.raises(ApiError) as error:
        vcluster.api.rest.call("GET", path)
    return error.value.status


def on_host(vcluster, kind, name, namespace="default"):
    """The host's object for a virtual one, as soon as there is one."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return vcluster.host.object(kind, name, namespace)
        except ApiError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_pod_finds_its_own_api_server_and_is_nobody_to_the_hosts(vcluster, host_kubectl):
    vcluster.apply(pod("inside"))
    vcluster.wait("pod/inside", "Ready")
    status, text = asked(vcluster, "https://kubernetes.default.svc/version")
    assert (status, json.loads(text)["gitVersion"]) == (200, vcluster.version)
    assert asked(vcluster, "https://kubernetes.default.svc/api/v1/namespaces")[0] == 403  # known, without rights
    service = json.loads(host_kubectl("get", "service", "kubernetes", "--namespace", "default", "--output", "json"))
    host = f"https://{service['spec']['clusterIP']}/api/v1/namespaces"
    assert asked(vcluster, host, trusting="anybody")[0] == 401


def test_the_administrators_certificate_opens_nothing_of_the_host(vcluster, vcluster_host, tmp_path):
    user, host = (yaml.safe_load(file.read_text()) for file in (vcluster.kubeconfig, vcluster_host.kubeconfig))
    files = []
    for field in ("client-certificate-data", "client-key-data"):
        files.append(tmp_path / field)
        files[-1].write_bytes(base64.b64decode(user["users"][0]["user"][field]))
    authority = base64.b64decode(host["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    context = tls_context(certificate_authority=authority, certificate=files[0], key=files[1])
    for path in ("namespaces", f"namespaces/{vcluster.host.namespace}/secrets"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{vcluster_host.url}/api/v1/{path}", context=context, timeout=30)
        error.value.close()
        assert error.value.code == 401


def test_pods_of_a_neighbour_are_out_of_reach_by_whatever_name(vcluster, vcluster_factory):
    with vcluster_factory() as neighbour:
        assert neighbour.host.namespace == vcluster.host.namespace
        neighbour.apply(pod("theirs"))
        neighbour.wait("pod/theirs", "Ready")
        theirs = neighbour.host.name_of("pods", "theirs")
        [node] = {found["metadata"]["name"] for found in vcluster.get("nodes")}
        for name in ("theirs", theirs, f"{neighbour.name}-0", f"{vcluster.name}-0"):
            for namespace in ("default", vcluster.host.namespace):
                of = f"/api/v1/namespaces/{namespace}/pods/{name}"
                for part in ("", "/log", "/exec?command=id&stdout=true", "/attach?stdout=true", "/portforward"):
                    assert refused(vcluster, of + part) == 404, of + part
                for part in (f"containerLogs/{namespace}/{name}/syncer", f"exec/{namespace}/{name}/syncer?command=id"):
                    assert refused(vcluster, f"/api/v1/nodes/{node}/proxy/{part}") in NOT_PROXIED, part
        for part in ("pods", "runningpods/", "metrics", "configz", "logs/"):
            assert refused(vcluster, f"/api/v1/nodes/{node}/proxy/{part}") in NOT_PROXIED, part
        assert neighbour.logs("theirs") == "said by theirs\n"


def test_the_names_of_the_control_plane_are_names_like_others(vcluster, host_kubectl):
    namespace, name = vcluster.host.namespace, f"{vcluster.name}-0"
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"{vcluster.name}-keys", "namespace": namespace},
        "stringData": {"admin-api.key": "not the key"},
    }
    there = host_kubectl("get", "secrets", "--namespace", namespace, "--output", "name").split()
    assert f"secret/{secret['metadata']['name']}" in there
    vcluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    volumes = [
        {"name": "keys", "secret": {"secretName": secret["metadata"]["name"]}},
        {"name": "both", "projected": {"sources": [{"secret": {"name": secret["metadata"]["name"]}}]}},
    ]
    vcluster.wait({"kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}}, "create")
    vcluster.apply(pod(name, namespace, volumes=volumes))
    on_host(vcluster, "pods", name, namespace)  # and waits for a Secret that the virtual cluster does not have
    assert vcluster.get("pod", name, namespace)["status"]["phase"] == "Pending"
    vcluster.apply(secret)  # what it waits for
    vcluster.wait(f"pod/{name}", "Ready", namespace=namespace)
    for folder in ("keys", "both"):
        assert (
            vcluster.exec(name, "python", "-c", LISTED, f"/{folder}", namespace=namespace)
            == "admin-api.key: not the key\n"
        )
    assert vcluster.logs(name, namespace=namespace) == f"said by {name}\n"


def test_a_pod_has_no_token_of_the_host(vcluster, host_kubectl):
    namespace = vcluster.host.namespace
    vcluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": vcluster.name}})
    # The account of that name on the host is the syncer's.
    host_kubectl("get", "serviceaccount", vcluster.name, "--namespace", namespace)
    vcluster.apply(pod("asking", serviceAccountName=vcluster.name, automountServiceAccountToken=True))
    vcluster.wait("pod/asking", "Ready")
    spec = vcluster.host.object("pods", "asking")["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == "default"
    token = vcluster.exec("asking", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["sub"] == f"system:serviceaccount:default:{vcluster.name}"
    reviewed = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    answer = json.loads(host_kubectl("create", "-f", "-", "--output", "json", text=json.dumps(reviewed)))
    assert not answer["status"].get("authenticated")


def test_labels_of_a_pod_take_no_requests_from_a_control_plane(vcluster, vcluster_factory, host_kubectl):
    with vcluster_factory() as neighbour:
        found = json.loads(
            host_kubectl("get", "service", neighbour.name, "--namespace", neighbour.host.namespace, "--output", "json")
        )
        vcluster.apply(pod("posing", labels=found["spec"]["selector"]))
        vcluster.wait("pod/posing", "Ready")
        ip = vcluster.get("pod", "posing")["status"]["podIP"]
        slices = host_kubectl(
            "get", "endpointslices", "--namespace", neighbour.host.namespace, "--output", "json",
            "--selector", f"kubernetes.io/service-name={neighbour.name}",
        )  # fmt: skip
        addresses = {
            address
            for each in json.loads(slices)["items"]
            for endpoint in each["endpoints"]
            for address in endpoint["addresses"]
        }
        # The host's and the syncer's own slice tell the same.
        assert len(addresses) == 1
        assert ip not in addresses


@pytest.fixture
def bounded(vcluster, host_kubectl):
    """The host's namespace, as who owns the host bounds it."""
    namespace, label = vcluster.host.namespace, "pod-security.kubernetes.io/enforce"
    host_kubectl("label", "namespace", namespace, f"{label}=baseline")
    yield
    host_kubectl("label", "namespace", namespace, f"{label}-")


@pytest.mark.parametrize(
    "wanted",
    [
        {"hostPID": True},
        {"hostNetwork": True},
        {"volumes": [{"name": "node", "hostPath": {"path": "/var/lib/kubelet"}}]},
    ],
    ids=lambda wanted: next(iter(wanted)),
)
def test_what_is_the_nodes_is_refused_where_the_host_says_so(vcluster, bounded, wanted):
    vcluster.apply(pod("mighty", **wanted))
    deadline = time.monotonic() + 60
    while not (said := [event["message"] for event in vcluster.events("pod/mighty") if event["type"] == "Warning"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "violates PodSecurity" in said[0]
    assert vcluster.get("pod", "mighty")["status"]["phase"] == "Pending"
    with pytest.raises(ApiError):
        vcluster.host.object("pods", "mighty")
    vcluster.apply(pod("modest"))
    vcluster.wait("pod/modest", "Ready")

"""Ingresses, served by a controller of the host; this run's kind cluster plays one that is there already."""

from __future__ import annotations

import json

import contour
import pytest

pytestmark = pytest.mark.timeout(1500)

SWITCHES = "to_host.ingresses,from_host.ingress_classes"
SUITE = '''
import http.client
import ssl
import time

import pytest

from pytest_vcluster.controlplane.pki import CertificateAuthority

AUTHORITY = CertificateAuthority.new("shops")


def web(text, host, **ingress):
    """A pod that says `text`, a Service in front of it, and an Ingress for `host`: the same names in every cluster."""
    said = ["sh", "-c", f"mkdir /w; echo {text} > /w/index.html; exec httpd -f -p 8080 -h /w"]
    container = {"name": "main", "image": "busybox:1.37", "command": said}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    made = {
        "Pod": {"terminationGracePeriodSeconds": 0, "containers": [container]},
        "Service": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        "Ingress": {"ingressClassName": "contour", "rules": [rule], **ingress},
    }
    return [
        {
            "apiVersion": "networking.k8s.io/v1" if kind == "Ingress" else "v1",
            "kind": kind,
            "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": spec,
        }
        for kind, spec in made.items()
    ]


def eventually(wanted, ask, seconds=60):
    """Ask until the answer is the wanted one; controllers take a moment."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = ask()
        except OSError as error:
            answer = error
        if answer == wanted or (wanted is ... and answer):
            return answer
        assert time.monotonic() < deadline, f"wanted {wanted!r}, last seen {answer!r}"
        time.sleep(0.1)


def asked(address, host, *, context=None):
    """What `host` answers at `address`: the status, and the text."""
    if context is None:
        connection = http.client.HTTPConnection(address, 80, timeout=10)
    else:
        connection = http.client.HTTPSConnection(host, 443, timeout=10, context=context)
        connection._create_connection = lambda _, *rest: __import__("socket").create_connection((address, 443), *rest)
    try:
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode().strip()
    finally:
        connection.close()


def address_of(vcluster):
    """Where the Ingress says that it is served."""
    def told():
        found = vcluster.get("ingress", "web")["status"].get("loadBalancer", {}).get("ingress")
        return found and found[0]["ip"]

    return eventually(..., told)


@pytest.fixture(scope="module")
def served():
    """Addresses and hosts that were served in tests before."""
    return []


def test_the_hosts_class_is_seen(vcluster):
    eventually(["contour"], lambda: [found["metadata"]["name"] for found in vcluster.get("ingressclasses")])


@pytest.mark.parametrize("number", range(2))
def test_an_ingress_is_served_where_it_says(vcluster, served, number):
    vcluster.apply(web(f"number {number}", f"shop-{number}.example.org"))
    address = address_of(vcluster)
    eventually((200, f"number {number}"), lambda: asked(address, f"shop-{number}.example.org"))
    served.append((address, f"shop-{number}.example.org"))


def test_what_was_served_in_other_tests_is_served_no_more(vcluster, served):
    assert len(served) == 2
    for address, host in served:
        # 404, or nobody listens: the last Ingress is gone.
        eventually(True, lambda: not serves(address, host))


def serves(address, host):
    try:
        return asked(address, host)[0] == 200
    except OSError:
        return False


def test_two_clusters_have_an_ingress_of_the_same_name(vcluster_factory):
    with vcluster_factory() as one, vcluster_factory() as other:
        one.apply(web("one", "one.example.org"))
        other.apply(web("other", "other.example.org"))
        address = address_of(one)
        eventually((200, "one"), lambda: asked(address, "one.example.org"))
        eventually((200, "other"), lambda: asked(address, "other.example.org"))
        one.delete("ingress/web")
        eventually(404, lambda: asked(address, "one.example.org")[0])
        assert asked(address, "other.example.org") == (200, "other")


def test_a_certificate_in_a_secret_of_the_virtual_cluster_is_shown(vcluster):
    pair = AUTHORITY.server("shop", hosts=("safe.example.org",))
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "shop-tls"},
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    }
    tls = [{"hosts": ["safe.example.org"], "secretName": "shop-tls"}]
    vcluster.apply([secret, *web("safe", "safe.example.org", tls=tls)])
    address = address_of(vcluster)
    context = ssl.create_default_context(cadata=AUTHORITY.certificate)
    eventually((200, "safe"), lambda: asked(address, "safe.example.org", context=context))
'''


@pytest.fixture(scope="module")
def controlled(vcluster_session, vcluster_host, host_kubectl):
    """The host with an Ingress controller, for as long as these tests run."""
    contour.build_image()
    vcluster_session.load_image(contour.IMAGE)
    [node, *_] = json.loads(host_kubectl("get", "nodes", "--output", "json"))["items"]
    [address] = [found["address"] for found in node["status"]["addresses"] if found["type"] == "InternalIP"]
    items = contour.documents(address)
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    # Some of its definitions are too large for the annotation that a client-side apply leaves.
    host_kubectl("apply", "--server-side", "-f", "-", text=text)
    try:
        host_kubectl(
            "wait", "pod/contour", "-n", contour.NAMESPACE, "--for=condition=Ready", "--timeout=120s", timeout=140
        )
        yield
    finally:
        host_kubectl("delete", "-f", "-", "--wait=false", text=text)


def test_ingresses_are_served_by_the_hosts_controller(controlled, run_suite):
    run_suite(SUITE, "--vcluster-sync", SWITCHES, namespace="ingresses", passed=6)

"""How a virtual API server comes to ask for figures: what is made, what is led elsewhere, what is left alone."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from cryptography import x509
from vcluster_syncer import ownership
from vcluster_syncer.gateway import metrics_objects
from vcluster_syncer.gateway.metrics_objects import NotServed, served, wanted
from vcluster_syncer.kube.errors import AlreadyExists, NotFound, ServerFailed
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import API_SERVICES, CLUSTER_ROLES, SERVICES

from pytest_vcluster.controlplane import key_maker
from pytest_vcluster.controlplane.keys import METRICS_SERVER_NAME

OBJECTS = wanted(address="127.0.0.1", port=10251, authority=b"PEM")
API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"
SERVICE = "/api/v1/namespaces/kube-system/services/host-metrics"
ROOT = "/apis/metrics.k8s.io/v1beta1"


def test_an_external_name_leads_to_the_endpoint_and_the_authority_is_told():
    made = dict(OBJECTS)
    assert made[SERVICES]["spec"] == {"type": "ExternalName", "externalName": "127.0.0.1"}
    spec = made[API_SERVICES]["spec"]
    assert spec["service"] == {"namespace": "kube-system", "name": "host-metrics", "port": 10251}
    assert base64.b64decode(spec["caBundle"]) == b"PEM"
    assert "insecureSkipTLSVerify" not in spec
    # Before it is looked up.
    order = [resource for resource, _ in OBJECTS]
    assert order.index(SERVICES) < order.index(API_SERVICES)


def test_whoever_may_look_at_pods_may_look_at_their_figures():
    role = dict(OBJECTS)[CLUSTER_ROLES]
    aggregated = {f"rbac.authorization.k8s.io/aggregate-to-{to}" for to in ("admin", "edit", "view")}
    assert aggregated <= set(role["metadata"]["labels"])
    assert role["rules"][0]["apiGroups"] == ["metrics.k8s.io"]


def test_the_certificates_that_are_made_are_for_that_name():
    """Both distributions and the chart know it each for itself; tests of the chart hold it against this one."""
    assert metrics_objects.SERVER_NAME == METRICS_SERVER_NAME
    pairs = key_maker.make_here("x", ["127.0.0.1"]).pairs

    def names(pair):
        certificate = x509.load_pem_x509_certificate(pairs[pair].certificate.encode())
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return set(found.get_values_for_type(x509.DNSName))

    assert METRICS_SERVER_NAME in names("kubelet")
    assert METRICS_SERVER_NAME not in names("apiserver")


class Virtual:
    """A virtual API server that finds whoever it is led to after so many looks, and so on."""

    def __init__(self, *, looks: int = 2, refusals: int = 1, stale: int = 3) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.written: list[str] = []
        self._looks = looks
        self._refusals = refusals
        self.stale = stale

    async def send(self, request: Request) -> dict[str, Any]:
        path = request.path.partition("?")[0]
        if request.method == "POST":
            obj = json.loads(request.body or b"")
            path += f"/{obj['metadata']['name']}"
            if path in self.objects:
                raise AlreadyExists("there is one")
            self.written.append(path)
            self.objects[path] = {**obj, "metadata": {**obj["metadata"], "uid": "u"}}
            return self.objects[path]
        if request.method == "PATCH":
            self.written.append(path)
            self.objects[path]["spec"] |= json.loads(request.body or b"")["spec"]
            return self.objects[path]
        if path == "/apis":
            self.stale -= 1
            named = {"version": "v1beta1", "resources": [{"resource": "pods"}], "freshness": "Current"}
            version = {**named, "freshness": "Stale"} if self.stale == 1 else named
            return (
                {"items": [{"metadata": {"name": "metrics.k8s.io"}, "versions": [version]}]} if self.stale < 2 else {}
            )
        if path == ROOT:
            self._refusals -= 1
            if self._refusals >= 0:
                raise ServerFailed("no endpoints yet", status=503)
            return {}
        if path not in self.objects:
            raise NotFound(path)
        if path == API_SERVICE:
            self._looks -= 1
            condition = {"type": "Available", "status": str(self._looks < 0), "message": "refused"}
            return {**self.objects[path], "status": {"conditions": [condition]}}
        return self.objects[path]


def have(virtual: Any, *, timeout: float = 20.0) -> None:
    asyncio.run(served(virtual, OBJECTS, timeout=timeout))


def test_what_is_missing_is_made_and_it_is_waited_until_requests_come_through():
    virtual = Virtual()
    have(virtual)
    assert set(virtual.objects) == {
        SERVICE,
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:aggregated-metrics-reader",
        API_SERVICE,
    }
    assert all(ownership.STAYS in obj["metadata"]["labels"] for obj in virtual.objects.values())
    assert virtual.stale < 1
    virtual.written.clear()
    have(virtual)
    assert virtual.written == []


def test_what_is_ours_is_led_to_where_we_are_now():
    virtual = Virtual()
    have(virtual)
    virtual.objects[API_SERVICE]["spec"]["caBundle"] = "b2xk"
    virtual.objects[API_SERVICE]["spec"]["service"] = {"namespace": "kube-system", "name": "host-metrics", "port": 1}
    virtual.written.clear()
    have(virtual)
    assert virtual.written == [API_SERVICE]
    assert virtual.objects[API_SERVICE]["spec"]["service"]["port"] == 10251


@pytest.mark.parametrize("path", [SERVICE, API_SERVICE])
def test_what_a_user_has_by_that_name_stays_his_and_nothing_is_made(path):
    virtual = Virtual(looks=1000)
    virtual.objects[path] = {"metadata": {"name": path.rpartition("/")[2], "uid": "u"}, "spec": {"service": None}}
    have(virtual, timeout=0)
    assert virtual.written == []


def test_a_role_that_is_there_is_as_good():
    virtual = Virtual()
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:aggregated-metrics-reader"
    virtual.objects[path] = {"metadata": {"name": "system:aggregated-metrics-reader", "uid": "u"}, "rules": []}
    have(virtual)
    assert virtual.written == [SERVICE, API_SERVICE]


def test_what_never_comes_through_tells_what_was_seen():
    with pytest.raises(
        NotServed, match=r"waited 0 s .*: refused\. See whether the certificate .* host-metrics.kube-system.svc"
    ):
        have(Virtual(looks=1000), timeout=0)

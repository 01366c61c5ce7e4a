"""A virtual cluster in a pod that has metrics.k8s.io: the API is a part of its baseline, and goes with its state.

The host has no metrics server: whether requests come through is seen by whose refusal is told.
"""

import contextlib
import tempfile
from pathlib import Path

import pytest
from metrics_server import NAME, ROOT, told
from pod_case import host, pod, until
from test_pod import CONFIGMAPS, entries, make_pod, names
from two_api_servers import free_ports

API_SERVICE = f"/apis/apiregistration.k8s.io/v1/apiservices/{NAME}"


@contextlib.contextmanager
def place():
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as made:
        yield Path(made)


@contextlib.contextmanager
def a_cluster(host, **options):
    """One that is up, and is told what pods use."""
    with place() as directory, free_ports(1) as (port,):
        metrics = told(directory / "virtual" / "front-proxy-ca.crt", directory, port=port)
        with pod(directory, host, tenant={"metrics": metrics}, **options) as made:
            made.start_all()
            until(made.is_healthy)
            yield made


@pytest.fixture(scope="module")
def the_host():
    with place() as directory, host(directory) as made:
        yield made


def is_passed_on(cluster):
    status, answer = cluster.virtual.ask("GET", f"{ROOT}/pods")
    return (status, answer["message"]) == (503, "the host does not serve metrics.k8s.io")


def is_available(api_service):
    conditions = {one["type"]: one["status"] for one in api_service["status"]["conditions"]}
    return conditions["Available"] == "True"


def test_the_api_is_there_when_the_cluster_is_and_after_it_was_put_back(the_host):
    with a_cluster(the_host) as cluster:
        # Nothing has to be waited for.
        assert is_passed_on(cluster)
        before = cluster.virtual.call("GET", API_SERVICE)
        assert is_available(before)
        assert cluster.admin.call("POST", f"/v1/tenants/{cluster.name}/baseline")["pristine"]
        for _ in range(2):
            make_pod(cluster.virtual, "left-over")
            cluster.virtual.call("POST", CONFIGMAPS, {"metadata": {"name": "left-over"}})
            until(lambda: cluster.carried("pods"))
            back = cluster.admin.call("POST", f"/v1/tenants/{cluster.name}/recycle")
            assert back["pristine"], back
            assert "left-over" not in names(cluster.virtual, CONFIGMAPS)
            assert cluster.virtual.call("GET", API_SERVICE) == before
            assert is_passed_on(cluster)


def test_a_syncer_that_is_started_anew_is_asked_again(the_host):
    with a_cluster(the_host) as cluster:
        cluster.processes.end("syncer")
        until(lambda: "the host does not serve" not in str(cluster.virtual.ask("GET", f"{ROOT}/pods")))
        cluster.start("syncer")
        until(cluster.is_healthy)
        assert is_passed_on(cluster)


def test_a_state_that_has_the_api_leads_to_the_cluster_that_begins_with_it(the_host):
    with a_cluster(the_host) as first:
        state = entries(first.admin.call("GET", f"/v1/tenants/{first.name}/state"))
        authority = first.virtual.call("GET", API_SERVICE)["spec"]["caBundle"]
    with a_cluster(the_host, seed=state) as second:
        assert second.virtual.call("GET", API_SERVICE)["spec"]["caBundle"] != authority
        assert is_passed_on(second)
        assert is_available(second.virtual.call("GET", API_SERVICE))
        assert second.admin.call("POST", f"/v1/tenants/{second.name}/baseline")["pristine"]
        second.virtual.call("POST", CONFIGMAPS, {"metadata": {"name": "left-over"}})
        assert second.admin.call("POST", f"/v1/tenants/{second.name}/recycle")["pristine"]
        assert is_passed_on(second)

"""A virtual cluster in a pod: the syncer starts it, carries it, recycles it, and ends it."""

import base64
import contextlib
import ssl
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from pod_case import ACCOUNT, ADDRESS, LEASE, NAMESPACE, host, pod, until

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
ENDPOINTS = [{"namespace": "default", "name": "kubernetes", "ports": [{"name": "https", "port": 6443}]}]
DNS = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "kube-dns", "namespace": "kube-system"},
    "spec": {"clusterIP": "10.100.112.10", "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]},
}
ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "system:coredns"},
    "rules": [],
}


@contextlib.contextmanager
def place():
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def the_host():
    with place() as directory, host(directory) as made:
        yield made


@pytest.fixture
def directory():
    with place() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(the_host):
    """One cluster that runs, and is put back after use."""
    pod_of = {"objects": [DNS, ROLE], "endpoints": ENDPOINTS}
    with place() as directory, pod(directory, the_host, pod=pod_of) as made:
        made.start_all()
        until(made.is_healthy)
        yield made


def a_pod(name):
    spec = {"containers": [{"name": "main", "image": "registry.example/app:1"}], "automountServiceAccountToken": False}
    return {"metadata": {"name": name}, "spec": spec}


def make_pod(virtual, name):
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    if virtual.ask("GET", f"{accounts}/default")[0] == 404:
        virtual.call("POST", accounts, {"metadata": {"name": "default"}})
    virtual.call("POST", PODS, a_pod(name))


def names(virtual, path):
    return {item["metadata"]["name"] for item in virtual.call("GET", path)["items"]}


def entries(state):
    """A seed of what etcd told."""
    found = {}
    for pair in state["kvs"]:
        found[base64.b64decode(pair["key"]).decode().removeprefix("/registry/")] = pair["value"]
    return found


class TestStart:
    def test_what_the_cluster_needs_in_a_pod_is_there(self, cluster):
        virtual = cluster.virtual
        service = virtual.call("GET", "/api/v1/namespaces/kube-system/services/kube-dns")
        assert service["spec"]["clusterIP"] == "10.100.112.10"
        assert virtual.ask("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:coredns")[0] == 200
        slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
        found = virtual.call("GET", slices)
        assert [one["addresses"] for one in found["endpoints"]] == [[ADDRESS]]
        assert [(port["name"], port["port"]) for port in found["ports"]] == [("https", 6443)]

    def test_pods_are_on_the_host_and_belong_to_the_owner(self, cluster):
        make_pod(cluster.virtual, "owned")
        until(lambda: cluster.carried("pods"))
        for plural in ("pods", "services", "configmaps", "secrets"):
            for made in cluster.carried(plural):
                [reference] = made["metadata"]["ownerReferences"]
                assert reference == {"apiVersion": "v1", "kind": "Service", "name": cluster.name, "uid": cluster.owner}
        cluster.virtual.call("DELETE", f"{PODS}/owned?gracePeriodSeconds=0")
        until(lambda: not cluster.carried("pods"))

    def test_the_hosts_service_leads_to_the_pod_of_which_the_host_knows_nothing_yet(self, cluster):
        path = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/{cluster.name}"
        found = cluster.host.api.call("GET", path)
        assert [each["addresses"] for each in found["endpoints"]] == [[ADDRESS]]
        assert found["metadata"]["labels"]["kubernetes.io/service-name"] == cluster.name
        assert [owner["name"] for owner in found["metadata"]["ownerReferences"]] == [cluster.name]

    def test_the_admin_api_asks_for_a_certificate(self, cluster):
        assert cluster.admin.ask("GET", "/livez") == (200, "ok")
        # The handshake of TLS 1.3 is over before the server has looked at the client's certificate.
        with pytest.raises((ssl.SSLError, urllib.error.URLError, ConnectionError)):
            cluster.without_certificate.ask("GET", "/livez")

    def test_a_kubelet_can_ask_how_it_is(self, cluster):
        probes = f"http://127.0.0.1:{cluster.probes_port}"
        with urllib.request.urlopen(f"{probes}/healthz", timeout=10) as answer:
            assert answer.read() == b"ok"
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{probes}/v1/tenants", timeout=10)
        assert refused.value.code == 404
        refused.value.close()

    def test_it_starts_on_its_seed_and_says_what_it_waits_for(self, cluster, the_host, directory):
        cluster.virtual.call("POST", CONFIGMAPS, {"metadata": {"name": "of-the-seed"}})
        seed = entries(cluster.admin.call("GET", f"/v1/tenants/{cluster.name}/state"))
        cluster.virtual.call("DELETE", f"{CONFIGMAPS}/of-the-seed")
        with pod(directory, the_host, seed=seed) as made:
            made.start("syncer")
            until(lambda: made.says("starting: etcd: nobody listens at"))
            made.start("kube-apiserver")
            made.start("etcd")
            until(lambda: made.says("starting: the processes to freeze: no process was started as kube-controller"))
            assert (directory / "store.sock").readlink() == directory / "etcd.sock"
            made.start("kube-controller-manager")
            until(made.is_healthy)
            assert "of-the-seed" in names(made.virtual, CONFIGMAPS)


class TestRecycling:
    def test_it_is_put_back_to_the_baseline_that_was_asked_for(self, cluster):
        told = cluster.admin.call("POST", f"/v1/tenants/{cluster.name}/recycle")
        assert told["reason"] == "no baseline was taken"
        assert cluster.admin.call("POST", f"/v1/tenants/{cluster.name}/baseline")["pristine"]
        before = names(cluster.virtual, CONFIGMAPS)
        make_pod(cluster.virtual, "left-over")
        cluster.virtual.call("POST", CONFIGMAPS, {"metadata": {"name": "left-over"}})
        until(lambda: cluster.carried("pods"))
        told = cluster.admin.call("POST", f"/v1/tenants/{cluster.name}/recycle")
        assert told["pristine"], told
        assert names(cluster.virtual, CONFIGMAPS) == before
        assert names(cluster.virtual, PODS) == set()

    def test_what_was_written_is_told(self, cluster):
        state = cluster.admin.call("GET", f"/v1/tenants/{cluster.name}/state")
        revision = state["header"]["revision"]
        path = f"/v1/tenants/{cluster.name}/changes?since={revision}"
        quiet = cluster.admin.call("GET", path)
        assert (quiet["changed"], quiet["total"]) == ([], len(state["kvs"]))
        cluster.virtual.call("POST", CONFIGMAPS, {"metadata": {"name": "written"}})
        told = cluster.admin.call("GET", path)
        assert (told["changed"], told["total"]) == (["configmaps/default/written"], len(state["kvs"]) + 1)
        assert int(told["revision"]) > int(revision)
        cluster.virtual.call("DELETE", f"{CONFIGMAPS}/written")

    @pytest.mark.parametrize(("query", "status"), [("", 400), ("?since=soon", 400), ("?since=-1", 400)])
    def test_what_can_not_be_told_is_refused(self, cluster, query, status):
        assert cluster.admin.ask("GET", f"/v1/tenants/{cluster.name}/changes{query}")[0] == status
        assert cluster.admin.ask("GET", "/v1/tenants/other/state")[0] == 404

    def test_a_second_process_of_that_name_is_a_reason_not_to(self, cluster):
        first = cluster.processes.running["kube-controller-manager"]
        cluster.start("kube-controller-manager")
        try:
            told = cluster.admin.call("POST", f"/v1/tenants/{cluster.name}/recycle")
            assert not told["pristine"]
            assert told["reason"].startswith("2 processes were started as kube-controller-manager (")
        finally:
            cluster.processes.end("kube-controller-manager")
            cluster.processes.running["kube-controller-manager"] = first


class TestHost:
    def test_a_token_that_is_refused_is_read_again(self, cluster, the_host):
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}"
        former = (cluster.account / "token").read_text()
        the_host.api.call("DELETE", account)
        the_host.make_account()
        cluster.show_token(the_host.token())
        # The API server remembers for some seconds whom it let in.
        until(lambda: not the_host.lets_in(former))
        make_pod(cluster.virtual, "after")
        until(lambda: cluster.carried("pods"))
        cluster.virtual.call("DELETE", f"{PODS}/after?gracePeriodSeconds=0")
        until(lambda: not cluster.carried("pods"))


class TestEnd:
    @pytest.mark.parametrize("container", ["etcd", "kube-apiserver"])
    def test_who_lost_what_it_remembered_is_never_trusted_again(self, the_host, directory, container):
        with pod(directory, the_host) as made:
            made.start_all()
            until(made.is_healthy)
            made.processes.end(container)
            until(lambda: made.says(f"{container} ended after the cluster had begun"))
            made.start(container)
            until(lambda: made.virtual.ask("GET", "/readyz")[0] == 200)
            assert made.says("can't be trusted any more")
            # Nor by a syncer that is started anew.
            made.processes.end("syncer")
            made.start("syncer")
            until(lambda: made.says("can't be trusted any more"))

    def test_a_syncer_that_is_started_anew_goes_on(self, the_host, directory):
        with pod(directory, the_host) as made:
            made.start_all()
            until(made.is_healthy)
            made.virtual.call("POST", CONFIGMAPS, {"metadata": {"name": "kept"}})
            made.processes.end("syncer")
            make_pod(made.virtual, "meanwhile")
            made.start("syncer")
            until(made.is_healthy)
            [found] = until(lambda: made.carried("pods"))
            assert found["metadata"]["annotations"]["vcluster-syncer/name"] == "meanwhile"
            assert "kept" in names(made.virtual, CONFIGMAPS)

    def test_it_deletes_its_owner_when_the_lease_is_renewed_no_more(self, the_host, directory):
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
        the_host.api.call("POST", leases, {"metadata": {"name": LEASE}, "spec": {}})
        ended = threading.Event()

        def renew():
            # Far in the past: clocks are not compared.
            count = 0
            while not ended.wait(0.3):
                count += 1
                patch = {"spec": {"renewTime": f"2001-01-01T00:00:00.{count:06}Z"}}
                the_host.api.ask("PATCH", f"{leases}/{LEASE}", patch, kind="application/merge-patch+json")

        renewing = threading.Thread(target=renew)
        renewing.start()
        try:
            with pod(directory, the_host, heartbeat={"lease": LEASE, "seconds": 4}) as made:
                owner = f"/api/v1/namespaces/{NAMESPACE}/services/{made.name}"
                made.start_all()
                until(made.is_healthy)
                time.sleep(6)
                assert the_host.api.ask("GET", owner)[0] == 200
                ended.set()
                until(lambda: the_host.api.ask("GET", owner)[0] == 404)
                assert made.says(f"the lease {LEASE} was not renewed")
        finally:
            ended.set()
            renewing.join()

"""What a configuration may say of the pod that the syncer is in."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from vcluster_syncer.config import parse_config, parse_description
from vcluster_syncer.fields import ConfigError
from vcluster_syncer.pod.rules import rules
from vcluster_syncer.pod_options import Endpoints, Heartbeat, HostService, Store, described

STORE = {"etcd": "/run/etcd.sock", "open": "/run/store.sock", "prefix": "/registry/"}
TENANT = {
    "name": "vc-1",
    "virtual": {"kubeconfig": "/v"},
    "kubernetes_service_ip": "10.0.0.1",
    "recycle": {"commands": {"freeze": ["kube-controller-manager"], "rest": ["kube-apiserver"]}},
}
POD = {"store": STORE, "tenant": TENANT}
ENDPOINT = {"address": "0.0.0.0", "port": 8443, "certificate": "/c", "key": "/k", "client_authority": "/a"}
CONFIG = {"host": {"in_cluster": True}, "admin": ENDPOINT, "owner": "vc-1", "pod": POD}


def config(**changes):
    return parse_config({**CONFIG, **changes}, source="f")


def of_pod(**changes):
    return config(pod={**POD, **changes}).pod


def test_the_pods_own_cluster_may_be_the_host():
    found = config()
    assert found.host_kubeconfig is None
    assert found.host_service_account == Path("/var/run/secrets/kubernetes.io/serviceaccount")
    elsewhere = config(host={"in_cluster": True, "service_account_directory": "/d"})
    assert elsewhere.host_service_account == Path("/d")


def test_the_admin_api_may_be_behind_a_port_or_a_socket_or_both():
    assert (config().admin_socket, config().admin_endpoint.port) == (None, 8443)
    both = config(admin={**ENDPOINT, "unix": "/s"})
    assert (both.admin_socket, both.admin_endpoint.address) == (Path("/s"), "0.0.0.0")


def test_a_pod_is_read():
    endpoints = {"namespace": "default", "name": "kubernetes", "ports": [{"port": 6443}]}
    role = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    service = {"name": "vc-1", "ports": [{"port": 6443}]}
    pod = of_pod(seed="/s.gz", endpoints=[endpoints], host_services=[service], objects=[role])
    assert pod.store == Store(
        etcd=Path("/run/etcd.sock"), open=Path("/run/store.sock"), prefix="/registry/", irreplaceable=("etcd",)
    )
    assert (pod.seed, pod.objects) == (Path("/s.gz"), (role,))
    assert pod.endpoints == (Endpoints(namespace="default", name="kubernetes", ports=[{"port": 6443}]),)
    assert pod.host_services == (HostService(name="vc-1", ports=[{"port": 6443}]),)
    assert (pod.irreplaceable, pod.processes) == (("kube-apiserver",), Path("/proc"))


def test_where_nothing_is_recycled_containers_may_be_started_anew():
    pod = of_pod(tenant={**TENANT, "recycle": None})
    assert (pod.store.irreplaceable, pod.irreplaceable) == ((), ())


def test_without_a_store_of_its_own_nothing_is_seeded_or_recycled():
    assert config(pod={"tenant": {**TENANT, "recycle": None}}).pod.store is None


def test_what_the_tenant_leaves_out_the_pod_knows():
    tenant = parse_description(described(of_pod(processes="/p"), namespace="clusters"))
    assert tenant.tenant.host_namespace == "clusters"
    recycle = tenant.recycle
    assert (recycle.etcd, recycle.prefix, recycle.processes) == (Path("/run/etcd.sock"), "/registry/", Path("/p"))
    assert (recycle.freeze_commands, recycle.rest_commands) == (("kube-controller-manager",), ("kube-apiserver",))


def test_what_it_says_holds():
    said = {**TENANT, "host_namespace": "own", "recycle": {"etcd": "/e", "prefix": "/own/"}}
    tenant = parse_description(described(of_pod(tenant=said), namespace="clusters"))
    assert (tenant.tenant.host_namespace, tenant.recycle.etcd, tenant.recycle.prefix) == ("own", Path("/e"), "/own/")


def test_a_heartbeat_has_45_seconds_unless_it_says_otherwise():
    assert config(heartbeat={"lease": "l"}).heartbeat == Heartbeat(lease="l", seconds=45.0)
    assert config(heartbeat={"lease": "l", "seconds": 3}).heartbeat == Heartbeat(lease="l", seconds=3.0)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"host": {"in_cluster": "yes"}}, "f.host: in_cluster must be true or false"),
        ({"host": {"in_cluster": True, "kubeconfig": "/k"}}, "f.host: unknown kubeconfig"),
        ({"host": {"kubeconfig": "/k"}}, "f: owner and pod need host.in_cluster, or host.namespace"),
        ({"admin": {}}, "f.admin: unix or address is missing"),
        ({"admin": {"address": "::"}}, "f.admin: certificate is missing"),
        ({"probes": {"port": 8080}}, "f.probes: address is missing"),
        ({"owner": "", "heartbeat": {"lease": "l"}}, "f: owner is missing, which goes when nobody renews 'l'"),
        ({"heartbeat": {}}, "f.heartbeat: lease is missing"),
        ({"heartbeat": {"lease": "l", "seconds": 0}}, "f.heartbeat: seconds must be at least 1, it is 0"),
        ({"pod": {}}, "f.pod: tenant is missing"),
        ({"pod": {"tenant": TENANT}}, "f.pod: store is missing, which seed and tenant.recycle write to"),
        ({"pod": {**POD, "sed": "/s"}}, "f.pod: unknown sed"),
        ({"pod": {**POD, "store": {**STORE, "prefix": "/r"}}}, "f.pod.store: prefix must end with a slash"),
        ({"pod": {**POD, "tenant": {**TENANT, "nme": "x"}}}, "f.pod.tenant: unknown nme"),
        (
            {"pod": {**POD, "objects": [{"kind": "Service"}]}},
            "f.pod: objects must be a list of objects with apiVersion",
        ),
        ({"pod": {**POD, "objects": [{"apiVersion": "v1", "kind": "Service"}]}}, "a Service has no metadata.name"),
        ({"pod": {**POD, "endpoints": [{"name": "x"}]}}, "f.pod.endpoints: namespace is missing"),
        ({"pod": {**POD, "host_services": [{"ports": []}]}}, "f.pod.host_services: name is missing"),
        ({"pod": {**POD, "host_services": ["x"]}}, "f.pod: host_services must be a list of objects"),
        ({"pod": {**POD, "endpoints": ["x"]}}, "f.pod: endpoints must be a list of objects"),
        ({"pod": {**POD, "irreplaceable": ["/bin/x"]}}, "irreplaceable must be a list of commands without their paths"),
        (
            {"pod": {**POD, "tenant": {**TENANT, "recycle": {"commands": {"freeze": ["a"]}, "rest": [7]}}}},
            "processes are named either by their ids or by their commands",
        ),
    ],
)
def test_what_is_wrong_is_told_by_field(changes, error):
    with pytest.raises(ConfigError, match=error):
        config(**changes)


def granted(found):
    return {(rule.group, each, verb) for rule in found for each in rule.resources for verb in rule.verbs}


def test_it_says_which_rights_it_needs():
    services = {("", "services", "get")}
    lease = {("coordination.k8s.io", "leases", verb) for verb in ("delete", "get")}
    pods = {("", "pods", verb) for verb in ("delete", "list")}
    assert granted(rules(config())) == services
    alive = config(heartbeat={"lease": "l"})
    assert granted(rules(alive)) == {*services, ("", "services", "delete"), *lease, *pods}
    bounded = of_pod(tenant={**TENANT, "isolation": {"network_policy": True}})
    assert ("networking.k8s.io", "networkpolicies", "create") in granted(
        rules(config(pod=POD | {"tenant": bounded.tenant}))
    )
    plain = parse_config({"host": {"kubeconfig": "/k"}, "admin": {"unix": "/s"}}, source="f")
    assert rules(plain) == ()


def test_the_rights_are_printed_where_no_pod_is(tmp_path):
    path = tmp_path / "syncer.json"
    path.write_text(json.dumps({**CONFIG, "heartbeat": {"lease": "l"}}))
    command = [sys.executable, "-m", "vcluster_syncer", "--config", str(path)]
    done = subprocess.run([*command, "--host-rules"], check=False, capture_output=True, text=True, timeout=60, env={})
    assert done.returncode == 0, done.stderr
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["delete", "get"]}
    assert lease in json.loads(done.stdout)["role"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env={})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the variable POD_NAMESPACE is not set" in done.stderr

from pathlib import Path

import pytest
import yaml

from pytest_vcluster.controlplane import audit, etcd, kube_apiserver, kube_controller_manager, kube_scheduler, kwok
from pytest_vcluster.controlplane.addresses import Address
from pytest_vcluster.controlplane.component import describe_exit, flags
from pytest_vcluster.controlplane.keys import CONTROLLER_MANAGER
from pytest_vcluster.controlplane.simulated_containers import Containers

BINARY = Path("/bin/x")


def arguments(component):
    return dict(argument.removeprefix("--").split("=", 1) for argument in component.arguments)


def apiserver(**changes):
    settings = {
        "name": "vc-1",
        "address": Address("127.64.1.2", 6443),
        "etcd_socket": Path("/run/etcd.sock"),
        "etcd_prefix": "/vc-1",
        "service_range": "10.100.112.0/20",
        "pki": Path("/run/pki"),
    }
    return arguments(kube_apiserver.component(BINARY, kube_apiserver.Settings(**{**settings, **changes})))


def test_the_api_server_listens_on_loopback_only():
    told = apiserver()
    assert told["bind-address"] == "127.64.1.2"
    assert told["secure-port"] == "6443"


def test_the_api_server_checks_who_may_do_what():
    assert apiserver()["authorization-mode"] == "Node,RBAC"
    assert "disable-admission-plugins" not in apiserver()
    assert apiserver(disabled_admission=("ServiceAccount",))["disable-admission-plugins"] == "ServiceAccount"


def test_the_api_server_notes_its_requests_only_where_it_is_told_to():
    assert not any(name.startswith("audit") for name in apiserver())
    told = apiserver(audit_policy=Path("/p.json"), audit_log=Path("/a.log"))
    assert (told["audit-policy-file"], told["audit-log-path"]) == ("/p.json", "/a.log")


def test_few_requests_are_noted():
    rules = audit.policy()["rules"]
    assert rules[-1] == {"level": "None"}
    assert {rule["level"] for rule in rules} == {"Metadata", "None"}
    urls = [(rule["level"], rule["nonResourceURLs"]) for rule in rules if "nonResourceURLs" in rule]
    assert urls == [("Metadata", ["/api", "/apis"]), ("None", ["*"])]
    assert [rule["users"] for rule in rules if "users" in rule] == [[CONTROLLER_MANAGER]]
    assert all(rule.keys() & {"users", "resources", "nonResourceURLs"} for rule in rules[:-1])
    noted = {
        resource for rule in rules for group in rule.get("resources", ()) for resource in group.get("resources", ())
    }
    assert {"customresourcedefinitions", "apiservices", "limitranges"} <= noted
    assert not noted & {"pods", "configmaps", "secrets", "events", "leases"}


def test_the_api_server_never_compacts_a_store_it_shares():
    assert apiserver()["etcd-compaction-interval"] == "0"
    assert apiserver()["etcd-prefix"] == "/vc-1"


def test_etcd_is_reachable_through_its_directory_only():
    told = arguments(etcd.component(binary=BINARY, directory=Path("/run/r")))
    assert told["listen-client-urls"] == "unix:///run/r/etcd.sock"
    assert told["listen-peer-urls"].startswith("unix:///run/r/")


def controllers(names):
    settings = kube_controller_manager.Settings(name="vc-1", kubeconfig=Path("/k"), pki=Path("/pki"), controllers=names)
    return arguments(kube_controller_manager.component(BINARY, settings))["controllers"].split(",")


def test_a_virtual_cluster_leaves_nodes_and_volumes_to_its_host():
    told = controllers(kube_controller_manager.virtual_controllers("v1.36.4"))
    assert told[0] == "*"
    assert "-node-lifecycle-controller" in told
    assert "-persistentvolume-binder-controller" in told
    assert "-namespace-controller" not in told


def test_a_controller_manager_is_not_told_of_controllers_it_does_not_have():
    """1.37 ends at once when it is."""
    assert "-service-lb-controller" in kube_controller_manager.virtual_controllers("v1.36.4")
    assert "-service-lb-controller" not in kube_controller_manager.virtual_controllers("v1.37.1")


def test_the_host_looks_after_nodes_volumes_and_namespaces():
    told = controllers(kube_controller_manager.HOST_CONTROLLERS)
    assert {"node-lifecycle-controller", "persistentvolume-binder-controller", "namespace-controller"} <= set(told)


def simulated(**changes):
    files = {"config": Path("/s/c"), "commands": Path("/s/x"), "folder": Path("/s/e"), "namespace": "secret"}
    return kwok.component(
        BINARY,
        name="host",
        kubeconfig=Path("/k"),
        kubelet=Address("127.64.0.1", 10247),
        containers=Containers(**{**files, **changes}),
    )


@pytest.mark.parametrize(
    "component", [kube_scheduler.component(BINARY, name="host", kubeconfig=Path("/k")), simulated()]
)
def test_host_components_use_the_kubeconfig_they_are_given(component):
    assert "--kubeconfig=/k" in component.arguments


def test_commands_of_simulated_pods_are_only_for_a_program_that_is_confined():
    python, script, told, program, *others = simulated().arguments[1:]
    assert (python, told, program) == ("-S", "--config=/s/x", str(BINARY))
    assert script == str(kwok.CONFINED)
    assert not any("/s/x" in other for other in others)
    assert "--server-address=127.64.0.1:10247" in others


def test_the_api_server_and_kubelets_trust_an_authority_that_is_nobody_elses():
    told = apiserver()
    assert told["kubelet-certificate-authority"] == "/run/pki/kubelet-ca.crt"
    assert told["kubelet-client-certificate"] == "/run/pki/kubelet-client.crt"
    assert told["kubelet-preferred-address-types"] == "Kubelet"


def test_stages_cover_the_life_of_a_pod():
    stages = list(yaml.safe_load_all(kwok.STAGES.read_text()))
    assert [stage["metadata"]["name"] for stage in stages] == [
        "node-heartbeat",
        "pod-ready",
        "pod-complete",
        "pod-delete",
    ]


def test_flags_keep_their_order():
    assert flags({"b": "1", "a": "x=y"}) == ("--b=1", "--a=x=y")


@pytest.mark.parametrize(("code", "words"), [(-9, "killed by signal 9"), (1, "exit code 1")])
def test_exits_are_told_in_words(code, words):
    assert describe_exit(code) == words

import copy
import json
from typing import Any

import pytest
from syncer_worlds import Worlds, tenant
from vcluster_syncer.gateway import metrics_objects
from vcluster_syncer.model import ENDPOINT_SLICES, PODS, SERVICES, DeleteHost, Key, Refuse
from vcluster_syncer.naming import host_name
from vcluster_syncer.recycle.canary_objects import node_port_service
from vcluster_syncer.translate import services

WEB = Key("default", "web")
NAME = host_name("vc-a1", *WEB)
PORTS = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


def service(worlds: Worlds, **spec: Any) -> dict[str, Any]:
    made = {"type": "ClusterIP", "clusterIP": "10.96.4.7", "clusterIPs": ["10.96.4.7"], "ports": PORTS, **spec}
    return worlds.put(SERVICES, "default", "web", spec=made, status={"loadBalancer": {}})


def on_host(worlds: Worlds) -> dict[str, Any]:
    worlds.settle(SERVICES, WEB)
    return worlds.there[SERVICES, NAME]


def test_has_the_cluster_ip_the_user_was_told(worlds: Worlds) -> None:
    service(worlds)
    spec = on_host(worlds)["spec"]
    assert (spec["clusterIP"], spec["clusterIPs"], spec["ports"]) == ("10.96.4.7", ["10.96.4.7"], PORTS)


def test_selects_only_pods_of_its_tenant_and_namespace(worlds: Worlds) -> None:
    service(worlds, selector={"app": "web"})
    assert on_host(worlds)["spec"]["selector"] == {
        "app": "web",
        "vcluster-syncer/tenant": "vc-a1",
        "vcluster-syncer/namespace": "default",
    }


@pytest.mark.parametrize("spec", [{}, {"selector": {}}, {"selector": None}])
def test_without_a_selector_it_selects_nothing_on_the_host_either(worlds: Worlds, spec: dict[str, Any]) -> None:
    service(worlds, **spec)
    assert not on_host(worlds)["spec"].get("selector")


def test_one_that_recycling_makes_for_itself_stays_in_the_virtual_cluster(worlds: Worlds) -> None:
    request, _ = node_port_service("web")
    assert request.body is not None
    service(worlds)["metadata"]["labels"] = json.loads(request.body)["metadata"]["labels"]
    assert worlds.look(SERVICES, WEB) == ()


def test_headless_stays_headless(worlds: Worlds) -> None:
    service(worlds, clusterIP="None", clusterIPs=["None"])
    assert on_host(worlds)["spec"]["clusterIP"] == "None"


def test_an_external_name_is_kept(worlds: Worlds) -> None:
    worlds.put(SERVICES, "default", "web", spec={"type": "ExternalName", "externalName": "db.example.org"})
    assert on_host(worlds)["spec"] == {"type": "ExternalName", "externalName": "db.example.org"}


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_on_private_nodes_no_port_of_the_host_is_taken(worlds: Worlds, kind: str) -> None:
    ports = [{**PORTS[0], "nodePort": 30080}]
    service(worlds, type=kind, ports=ports, externalTrafficPolicy="Local", healthCheckNodePort=30081)
    spec = on_host(worlds)["spec"]
    assert spec["type"] == "ClusterIP"
    assert spec["ports"] == PORTS
    assert not {"externalTrafficPolicy", "healthCheckNodePort"} & set(spec)


def test_on_shared_nodes_the_type_is_kept_and_the_balancer_shown() -> None:
    worlds = Worlds(tenant(private_nodes=False))
    service(worlds, type="LoadBalancer", loadBalancerClass="metal")
    host = on_host(worlds)
    assert (host["spec"]["type"], host["spec"]["loadBalancerClass"]) == ("LoadBalancer", "metal")
    host["status"] = {"loadBalancer": {"ingress": [{"ip": "198.51.100.7"}]}}
    on_host(worlds)
    assert worlds.here[SERVICES, WEB]["status"] == host["status"]


@pytest.mark.parametrize(
    "change",
    [
        {"ports": [{"port": 81}]},
        {"selector": {"app": "other"}},
        {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 9}}},
        {"publishNotReadyAddresses": True},
        {"type": "ExternalName", "externalName": "x.y", "clusterIP": None, "clusterIPs": None, "ports": None},
    ],
)
def test_changes_follow(worlds: Worlds, change: dict[str, Any]) -> None:
    made = service(worlds, selector={"app": "web"})
    on_host(worlds)
    made["spec"].update(change)
    spec = on_host(worlds)["spec"]
    wanted = services.to_host(WEB, made, worlds.tenant)["spec"]
    assert spec == {name: value for name, value in wanted.items() if value is not None}


def test_what_a_host_controller_adds_stays(worlds: Worlds) -> None:
    service(worlds)
    host = on_host(worlds)
    host["metadata"]["finalizers"] = ["service.kubernetes.io/load-balancer-cleanup"]
    host["metadata"]["annotations"]["cloud/id"] = "7"
    host["spec"]["ipFamilyPolicy"] = "SingleStack"
    worlds.here[SERVICES, WEB]["spec"]["ipFamilyPolicy"] = "SingleStack"
    before = copy.deepcopy(host)
    worlds.settle(SERVICES, WEB)
    assert host == before
    assert worlds.here[SERVICES, WEB]["metadata"]["annotations"]["cloud/id"] == "7"


def test_the_api_servers_own_service_is_not_carried(worlds: Worlds) -> None:
    worlds.put(SERVICES, "default", "kubernetes", spec={"clusterIP": "10.96.4.1"})
    assert list(worlds.look(SERVICES, Key("default", "kubernetes"))) == []


def test_it_is_deleted_with_the_virtual_one(worlds: Worlds) -> None:
    service(worlds)
    host = on_host(worlds)
    del worlds.here[SERVICES, WEB]
    assert list(worlds.look(SERVICES, WEB)) == [DeleteHost(SERVICES, NAME, host["metadata"]["uid"])]


def test_a_namesake_with_another_ip_is_made_anew(worlds: Worlds) -> None:
    service(worlds)
    on_host(worlds)
    service(worlds, clusterIP="10.96.4.8", clusterIPs=["10.96.4.8"])
    assert on_host(worlds)["spec"]["clusterIP"] == "10.96.4.8"


def test_a_foreign_service_of_its_name_is_left_alone(worlds: Worlds) -> None:
    foreign = worlds.put_host(SERVICES, NAME, spec={})
    service(worlds)
    (refusal,) = worlds.settle(SERVICES, WEB)
    assert isinstance(refusal, Refuse)
    assert list(worlds.there.values()) == [foreign]


class TestEndpointSlices:
    SLICE = Key("default", "web-1")

    def slice(self, worlds: Worlds, *, by: str = "someone", service_name: str = "web", **fields: Any) -> dict[str, Any]:
        labels = {
            "kubernetes.io/service-name": service_name,
            "endpointslice.kubernetes.io/managed-by": by,
        }
        made = {"addressType": "IPv4", "ports": [{"port": 5432}], "endpoints": [{"addresses": ["192.0.2.1"]}], **fields}
        return worlds.put(ENDPOINT_SLICES, "default", "web-1", metadata={"labels": labels}, **made)

    def carried(self, worlds: Worlds) -> dict[str, Any] | None:
        worlds.settle(ENDPOINT_SLICES, self.SLICE)
        return worlds.there.get((ENDPOINT_SLICES, host_name("vc-a1", *self.SLICE)))

    def test_what_a_user_wrote_leads_where_he_says(self, worlds: Worlds) -> None:
        service(worlds)
        self.slice(worlds)
        made = self.carried(worlds)
        assert made is not None
        assert made["metadata"]["labels"]["kubernetes.io/service-name"] == NAME
        assert made["endpoints"] == [{"addresses": ["192.0.2.1"]}]

    def test_a_mirror_of_endpoints_is_not_taken_for_the_hosts_own(self, worlds: Worlds) -> None:
        service(worlds)
        self.slice(worlds, by="endpointslicemirroring-controller.k8s.io")
        made = self.carried(worlds)
        assert made is not None
        assert made["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "vcluster-syncer"

    def test_what_a_controller_made_from_pods_the_host_makes_itself(self, worlds: Worlds) -> None:
        service(worlds, selector={"app": "web"})
        self.slice(worlds, by="endpointslice-controller.k8s.io")
        assert self.carried(worlds) is None

    def test_without_its_service_it_is_not_there(self, worlds: Worlds) -> None:
        self.slice(worlds)
        assert self.carried(worlds) is None
        made = service(worlds)
        assert list(services.KIND.wakes(made, worlds)) == [(ENDPOINT_SLICES, self.SLICE)]
        assert self.carried(worlds) is not None
        del worlds.here[SERVICES, WEB]
        assert self.carried(worlds) is None

    def test_the_api_servers_own_is_not_carried(self, worlds: Worlds) -> None:
        worlds.put(SERVICES, "default", "kubernetes", spec={})
        self.slice(worlds, service_name="kubernetes")
        assert self.carried(worlds) is None

    def test_pods_and_nodes_are_named_as_on_the_host(self, worlds: Worlds) -> None:
        node = worlds.node("node-1")
        service(worlds)
        target = {"kind": "Pod", "namespace": "default", "name": "db-0", "uid": "v"}
        self.slice(worlds, endpoints=[{"addresses": ["10.1.0.7"], "nodeName": "node-1", "targetRef": target}])
        made = self.carried(worlds)
        assert made is not None
        (endpoint,) = made["endpoints"]
        assert endpoint["nodeName"] == node
        assert endpoint["targetRef"] == {
            "kind": PODS.kind,
            "namespace": "vc-a1-ns",
            "name": host_name("vc-a1", "default", "db-0"),
        }

    def test_changes_follow(self, worlds: Worlds) -> None:
        service(worlds)
        made = self.slice(worlds)
        self.carried(worlds)
        made["endpoints"] = []
        found = self.carried(worlds)
        assert found is not None
        assert not found.get("endpoints")


def test_the_one_that_leads_the_api_server_to_figures_stays_here(worlds: Worlds) -> None:
    resource, made = metrics_objects.wanted(address="127.0.0.1", port=1, authority=b"")[0]
    own = made["metadata"]
    worlds.put(resource, own["namespace"], own["name"], metadata={"labels": own["labels"]}, spec=made["spec"])
    assert worlds.look(SERVICES, Key(own["namespace"], own["name"])) == ()

"""DNS, asked from a pod."""

import pytest

from pytest_vcluster import CommandError

pytestmark = pytest.mark.vcluster(containers=True, manifests="manifests/")


def test_services_have_names_of_four_lengths(vcluster, address):
    expected = vcluster.get("service", "web")["spec"]["clusterIP"]

    assert address("web") == expected
    assert address("web.default") == expected
    assert address("web.default.svc") == expected
    assert address("web.default.svc.cluster.local") == expected


def test_names_of_another_namespace_need_it(vcluster, client, address):
    vcluster.kubectl("create", "namespace", "team")
    vcluster.kubectl("create", "service", "clusterip", "shop", "--tcp=80", "-n", "team")

    assert address("shop.team") == vcluster.get("service", "shop", "team")["spec"]["clusterIP"]
    with pytest.raises(CommandError):
        client("nslookup", "-type=a", "shop.default.svc.cluster.local")


def test_the_api_server_is_where_programs_look_for_it(vcluster, address):
    assert address("kubernetes.default") == vcluster.get("service", "kubernetes")["spec"]["clusterIP"]


def test_pods_have_names_made_of_their_addresses(vcluster, addresses):
    address = vcluster.wait("pod/client", "Ready")["status"]["podIP"]

    assert addresses(f"{address.replace('.', '-')}.default.pod.cluster.local") == [address]


def test_named_ports_are_told(client):
    answer = client("nslookup", "-type=srv", "_http._tcp.web.default.svc.cluster.local")

    assert "service = 0 100 80 web.default.svc.cluster.local" in answer


def test_a_name_goes_with_its_service(vcluster, client, eventually):
    vcluster.delete("service/web")

    def gone():
        with pytest.raises(CommandError):
            client("nslookup", "-type=a", "web.default.svc.cluster.local")

    eventually(gone)


def test_the_dns_server_is_where_tools_look_for_it(vcluster, client):
    (service,) = vcluster.get("services", namespace="kube-system", selector="k8s-app=kube-dns")

    assert {(port["port"], port["protocol"]) for port in service["spec"]["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert f"nameserver {service['spec']['clusterIP']}\n" in client("cat", "/etc/resolv.conf")

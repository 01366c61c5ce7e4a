"""Services of every kind, as a pod of the cluster sees them."""

import pytest

from pytest_vcluster import CommandError

pytestmark = pytest.mark.vcluster(containers=True, manifests="manifests/")


@pytest.fixture(autouse=True)
def web(vcluster):
    return vcluster.wait("deployment/web", "Available")


@pytest.fixture
def fetch(client, fetching, eventually):
    return lambda url: eventually(lambda: fetching(client, url))


def pods_of_web(vcluster):
    return vcluster.get("pods", selector="app=web")


def test_a_service_leads_to_its_pods(vcluster, fetch):
    address = vcluster.get("service", "web")["spec"]["clusterIP"]

    names = {pod["metadata"]["name"] for pod in pods_of_web(vcluster)}
    assert fetch(f"http://{address}/hostname") in names
    assert fetch("http://web/hostname") in names
    assert fetch("http://web.default.svc.cluster.local/hostname") in names


def test_a_new_service_can_be_reached_at_once(vcluster, fetch):
    vcluster.kubectl("expose", "deployment", "web", "--name=shop", "--port=8000", "--target-port=8080")

    assert fetch("http://shop:8000/echo?msg=hello") == "hello"


def test_a_headless_service_is_the_addresses_of_its_pods(vcluster, addresses, eventually):
    def all_of_them():
        pods = pods_of_web(vcluster)
        assert len(pods) == 2
        assert addresses("web-headless.default.svc.cluster.local") == sorted(pod["status"]["podIP"] for pod in pods)

    eventually(all_of_them)


def test_an_external_name_is_another_name(client):
    assert "canonical name = web.default.svc.cluster.local" in client(
        "nslookup", "-type=cname", "web-alias.default.svc.cluster.local"
    )


def test_a_node_port_is_open_on_every_node(vcluster, fetch):
    port = vcluster.get("service", "web-outside")["spec"]["ports"][0]["nodePort"]
    nodes = {pod["status"]["hostIP"] for pod in pods_of_web(vcluster)}

    for node in nodes:
        assert fetch(f"http://{node}:{port}/echo?msg=outside") == "outside"


def test_a_service_without_ready_pods_answers_nobody(vcluster, client, fetching, eventually):
    vcluster.kubectl("scale", "deployment", "web", "--replicas=0")

    def refused():
        try:
            answer = fetching(client, "http://web/")
        except (AssertionError, CommandError):
            return
        raise AssertionError(answer)

    eventually(refused)
    assert vcluster.get("endpointslices", selector="kubernetes.io/service-name=web")[0]["endpoints"] is None

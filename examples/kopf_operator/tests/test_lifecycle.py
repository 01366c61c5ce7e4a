"""What becomes of a WebApp while the operator runs.

Every test makes the app `shop` in the namespace `default`, and with it the PriorityClass `default-shop`, which is
cluster-scoped: on a cluster that they share these tests could not run side by side.
"""

import pytest

from pytest_vcluster import KubectlError

pytestmark = [pytest.mark.vcluster(crds="crd/webapps.yaml"), pytest.mark.usefixtures("operator")]


def names(objects):
    return sorted(each["metadata"]["name"] for each in objects)


def test_an_app_becomes_available_on_ready_pods(vcluster, webapp):
    vcluster.apply(webapp(replicas=2))

    vcluster.wait("webapp/shop", "condition=Available")
    vcluster.wait("webapp/shop", "jsonpath={.status.readyReplicas}=2")
    pods = vcluster.get("Pod")
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]
    assert {pod["spec"]["nodeName"] for pod in pods} <= set(names(vcluster.get("Node")))


def test_the_status_tells_where_the_app_is(vcluster, webapp):
    vcluster.apply(webapp(port=9000))

    vcluster.wait("webapp/shop", "condition=Available")
    vcluster.wait("webapp/shop", "jsonpath={.status.url}=http://shop.default.svc:9000")
    (port,) = vcluster.get("Service", "shop")["spec"]["ports"]
    assert port["port"] == 9000


def test_a_changed_image_is_rolled_out(vcluster, webapp):
    vcluster.apply(webapp())
    vcluster.wait("webapp/shop", "condition=Available")

    vcluster.apply(webapp(image="registry.example.org/shop:2.0"))

    vcluster.wait("deployment/shop", "jsonpath={.metadata.generation}=2")
    vcluster.kubectl("rollout", "status", "deployment/shop", "--timeout=120s")
    (pod,) = [pod for pod in vcluster.get("Pod") if "deletionTimestamp" not in pod["metadata"]]
    assert pod["spec"]["containers"][0]["image"] == "registry.example.org/shop:2.0"


def test_an_app_scales_like_a_deployment(vcluster, webapp):
    vcluster.apply(webapp())
    vcluster.wait("webapp/shop", "condition=Available")

    vcluster.kubectl("scale", "webapp/shop", "--replicas=5")
    vcluster.wait("webapp/shop", "jsonpath={.status.readyReplicas}=5")

    vcluster.kubectl("scale", "webapp/shop", "--replicas=0")
    vcluster.wait("webapp/shop", "jsonpath={.status.replicas}=0")
    vcluster.kubectl("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=shop", "--timeout=120s")


def test_pods_have_the_priority_of_their_app(vcluster, webapp):
    vcluster.apply(webapp(priority=7000))

    vcluster.wait("webapp/shop", "condition=Available")
    (pod,) = vcluster.get("Pod")
    assert pod["spec"]["priorityClassName"] == "default-shop"
    assert pod["spec"]["priority"] == 7000


def test_a_deleted_app_leaves_nothing(vcluster, webapp):
    vcluster.apply(webapp(replicas=2))
    vcluster.wait("webapp/shop", "jsonpath={.status.readyReplicas}=2")

    vcluster.delete("webapp/shop")

    vcluster.wait("priorityclass/default-shop", "delete")
    vcluster.wait("deployment/shop", "delete")
    vcluster.wait("service/shop", "delete")
    vcluster.kubectl("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=shop", "--timeout=120s")


def test_a_deleted_namespace_takes_its_apps_along(vcluster, webapp):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
    vcluster.apply([namespace, webapp(namespace="team"), webapp(namespace="default")])
    vcluster.wait("webapp/shop", "condition=Available", namespace="team")
    vcluster.wait("webapp/shop", "condition=Available", namespace="default")

    vcluster.delete("namespace/team", wait=False)

    vcluster.wait("priorityclass/team-shop", "delete")
    vcluster.wait("deployment/shop", "delete", namespace="team")
    assert "default-shop" in names(vcluster.get("PriorityClass"))
    assert len(vcluster.get("Pod")) == 1


def test_an_image_without_a_version_is_refused(vcluster, webapp, eventually):
    vcluster.apply(webapp(image="registry.example.org/shop"))

    vcluster.wait("webapp/shop", "condition=Accepted=False")
    eventually(lambda: "ImageRefused" in [event["reason"] for event in vcluster.events("webapp/shop")])
    assert vcluster.get("Deployment") == []

    vcluster.apply(webapp(image="registry.example.org/shop:1.0"))
    vcluster.wait("webapp/shop", "condition=Available")


def test_the_priority_of_an_app_is_final(vcluster, webapp):
    vcluster.apply(webapp(priority=1))
    vcluster.wait("webapp/shop", "condition=Accepted")

    with pytest.raises(KubectlError, match="the value of a PriorityClass can't change"):
        vcluster.kubectl("patch", "webapp/shop", "--type=merge", "--patch", '{"spec": {"priority": 2}}')

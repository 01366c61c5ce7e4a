"""What pods use, as a metrics server of the host tells it; this run's kind cluster plays one that is there already."""

from __future__ import annotations

import json

import built_images
import pytest

pytestmark = pytest.mark.timeout(1500)

MODULE, VERSION = "sigs.k8s.io/metrics-server", "v0.9.0"
IMAGE = f"vcluster-tests/metrics-server:{VERSION}"
SUITE = '''
import json
import time

BUSY = ["sh", "-c", "while :; do :; done"]


def pod_spec(*command):
    resources = {"requests": {"cpu": "20m"}, "limits": {"cpu": "60m"}}
    container = {"name": "main", "image": "busybox:1.37", "command": list(command), "resources": resources}
    return {"terminationGracePeriodSeconds": 0, "containers": [container]}


def eventually(ask, seconds=150):
    """Ask until there is an answer; a kubelet measures every 10 s, a metrics server asks every 15 s."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"last seen: {answer!r}"
        time.sleep(1)
    return answer


def figures(vcluster):
    listed = json.loads(vcluster.kubectl("get", "--raw", "/apis/metrics.k8s.io/v1beta1/pods"))
    return {item["metadata"]["name"]: item["containers"] for item in listed["items"]}


def test_what_a_pod_uses_is_told_in_its_own_cluster_only(vcluster_factory):
    with vcluster_factory() as one, vcluster_factory() as other:
        for cluster, name in ((one, "busy"), (other, "elsewhere")):
            metadata = {"name": name, "labels": {"app": name}}
            cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(*BUSY)})
        for cluster, name in ((one, "busy"), (other, "elsewhere")):
            [container] = eventually(lambda: figures(cluster).get(name))
            assert container["name"] == "main"
            assert set(figures(cluster)) == {name}
        told = one.kubectl("top", "pod", "busy", "--no-headers").split()
        assert told[0] == "busy" and told[1].endswith("m")
        assert one.kubectl("top", "pod", "--selector", "app=busy", "--no-headers").split()[0] == "busy"


def test_a_deployment_is_scaled_by_what_its_pods_use(vcluster):
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "busy"},
        "spec": {
            "selector": {"matchLabels": {"app": "busy"}},
            "template": {"metadata": {"labels": {"app": "busy"}}, "spec": pod_spec(*BUSY)},
        },
    }
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "busy"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"},
            "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": cpu}],
        },
    }
    vcluster.apply([deployment, scaler])
    eventually(lambda: (vcluster.get("deployment", "busy")["status"].get("readyReplicas") or 0) > 1)
'''


@pytest.fixture(scope="module")
def measured(vcluster_session, host_kubectl):
    """The host with a metrics server, for as long as these tests run."""
    built_images.build(IMAGE, built_images.of_module(MODULE, VERSION, "metrics-server"), command=["metrics-server"])
    vcluster_session.load_image(IMAGE)
    names = ("rbac", "service", "apiservice", "deployment")
    items = built_images.manifests(MODULE, VERSION, "manifests/base", names)
    [deployment] = [item for item in items if item["kind"] == "Deployment"]
    labels = {"k8s-app": "metrics-server"}
    deployment["spec"]["selector"] = {"matchLabels": labels}
    deployment["spec"]["template"]["metadata"] = {"labels": labels}
    [service] = [item for item in items if item["kind"] == "Service"]
    service["spec"]["selector"] = labels
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    container["image"] = IMAGE
    # kind's kubelets have certificates that nobody signed.
    container["args"].append("--kubelet-insecure-tls")
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    host_kubectl("apply", "-f", "-", text=text)
    try:
        waiting = ("wait", "apiservice/v1beta1.metrics.k8s.io", "--for=condition=Available", "--timeout=150s")
        host_kubectl(*waiting, timeout=170)
        yield
    finally:
        host_kubectl("delete", "-f", "-", "--wait=false", text=text)


def test_figures_are_those_of_the_hosts_metrics_server(measured, run_suite):
    run_suite(SUITE, namespace="metrics", passed=2)

"""All of them, and kubectl, on one cluster."""

import kr8s
from kr8s.objects import Deployment
from kubernetes import client
from lightkube import Client, KubeConfig
from lightkube.resources.apps_v1 import Deployment as LightkubeDeployment


def test_what_one_writes_the_others_read(vcluster):
    vcluster.kubectl("create", "deployment", "web", "--image=registry.example.org/web:1.0")

    Deployment.get("web", namespace="default", api=kr8s.api(kubeconfig=str(vcluster.kubeconfig))).scale(2)

    lightkube = Client(config=KubeConfig.from_file(vcluster.kubeconfig))
    assert lightkube.get(LightkubeDeployment, "web").spec.replicas == 2
    lightkube.close()

    vcluster.wait("deployment/web", "jsonpath={.status.readyReplicas}=2")
    pods = client.CoreV1Api(vcluster.api_client()).list_namespaced_pod("default").items
    assert [pod.status.phase for pod in pods] == ["Running", "Running"]

"""What the operator's ServiceAccount can do: all that it must, nothing else, and nothing beyond its cluster."""

import base64
import json

import pytest
from kubernetes import config
from kubernetes.client import CoreV1Api

pytestmark = pytest.mark.vcluster(containers=True)

ACCOUNT = "--as=system:serviceaccount:operators:greeter"
ASK = """
import json, ssl, sys, urllib.error, urllib.request
token = open("/var/run/secrets/kubernetes.io/serviceaccount/token").read()
answers = []
for url in sys.argv[1:]:
    request = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
    try:
        with urllib.request.urlopen(request, timeout=30, context=ssl._create_unverified_context()) as answer:
            answers.append([answer.status, json.load(answer)])
    except urllib.error.HTTPError as error:
        answers.append([error.code, {}])
print(json.dumps(answers))
"""


@pytest.fixture
def ask(cluster):
    """What API servers answer the operator's pod and its token: a status and a document for each URL."""

    def asked(*urls):
        return json.loads(cluster.exec("deployment/greeter", "python", "-c", ASK, *urls, namespace="operators"))

    return asked


@pytest.fixture
def may(cluster):
    """Whether the operator's ServiceAccount may do something anywhere, as kubectl tells."""
    return lambda *words: cluster.kubectl("auth", "can-i", *words, ACCOUNT, "-A", check=False).strip()


@pytest.mark.parametrize("words", [("patch", "greetings.example.org"), ("create", "configmaps")], ids=" ".join)
def test_the_chart_gives_the_rights_that_are_needed(may, words):
    assert may(*words) == "yes"


@pytest.mark.parametrize("words", [("get", "secrets"), ("delete", "configmaps"), ("create", "pods")], ids=" ".join)
def test_the_chart_gives_no_others(may, words):
    assert may(*words) == "no"


def test_the_operator_sees_its_cluster(cluster, ask):
    ((status, namespaces),) = ask("https://kubernetes.default.svc/api/v1/namespaces")

    assert status == 200
    mine = {each["metadata"]["name"] for each in cluster.get("namespaces")}
    assert {each["metadata"]["name"] for each in namespaces["items"]} == mine


def test_it_is_nobody_on_the_host(cluster, ask, vcluster_host):
    administrator = CoreV1Api(config.new_client_from_config(str(vcluster_host.kubeconfig)))
    host = administrator.read_namespaced_service("kubernetes", "default").spec.cluster_ip

    assert ask(f"https://{host}/api/v1/namespaces", f"https://{host}/api/v1/pods") == [[401, {}], [401, {}]]


def test_it_is_nobody_in_another_cluster(cluster, ask, vcluster_factory):
    with vcluster_factory() as other:
        address = other.get("service", "kubernetes")["spec"]["clusterIP"]

        assert ask(f"https://{address}/api/v1/namespaces") == [[401, {}]]


def test_its_token_is_one_of_its_cluster(cluster):
    token = cluster.exec(
        "deployment/greeter", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token", namespace="operators"
    )
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["kubernetes.io"]

    assert claims["namespace"] == "operators"
    assert claims["serviceaccount"]["name"] == "greeter"
    assert claims["pod"]["uid"] in {pod["metadata"]["uid"] for pod in cluster.get("pods", namespace="operators")}

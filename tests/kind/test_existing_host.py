"""A cluster that is there already as the host, with rights in one namespace only; this run's kind cluster plays it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml

from pytest_vcluster.cluster import kubectl
from pytest_vcluster.hosts.in_cluster import existing
from pytest_vcluster.images.syncer import tag_of_installed
from pytest_vcluster.toolchain import Component, Sources, Wanted, locate

NAMESPACE = "team"
SUITE = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_everything_is_new(vcluster, number):
    assert vcluster.get("configmaps", namespace="default") == vcluster.get("configmaps", namespace="default")
    vcluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mine"}})

def test_a_pod_runs_on_a_node_that_is_made_up(vcluster):
    container = {"name": "main", "image": "busybox:1.37", "command": ["sleep", "1000"]}
    vcluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}})
    vcluster.wait("pod/p", "Ready")
    assert vcluster.exec("p", "echo", "hello") == "hello\\n"
    node = vcluster.get("pod", "p")["spec"]["nodeName"]
    assert node in [found["metadata"]["name"] for found in vcluster.get("nodes")]
"""


@pytest.fixture(scope="module")
def on_host(vcluster_host, tmp_path_factory):
    """Runs kubectl as the administrator of the host."""
    binary = kubectl.find(vcluster_host.version, offline=False, environ={})
    home = tmp_path_factory.mktemp("kubectl")

    def run(*arguments: str, text: str | None = None) -> str:
        return kubectl.run(
            binary,
            list(arguments),
            kubeconfig=vcluster_host.kubeconfig,
            home=home,
            look=lambda: None,
            input=text,
            check=True,
            timeout=60,
        )

    return run


def rules() -> list[dict[str, object]]:
    """A Role with just the rights that are asked for."""
    helm = locate(Wanted.known(Component.HELM), Sources.from_environ({}, offline=True))
    assert helm is not None
    needed = existing.needed("v1.36.4", helm.path, "syncer", NAMESPACE)
    return [
        {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
        for right in needed
        if not right.everywhere
    ]


@pytest.fixture(scope="module")
def team(on_host, vcluster_session, vcluster_host, tmp_path_factory):
    """A kubeconfig for whoever has just the rights that are needed, in one namespace."""
    assert vcluster_session.get("nodes")  # so the nodes have the images
    metadata = {"name": "ci", "namespace": NAMESPACE}
    made = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules()},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "ci"},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        },
    ]
    on_host("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": made}))
    token = on_host("create", "token", "ci", "--namespace", NAMESPACE, "--duration", "2h").strip()
    config = yaml.safe_load(vcluster_host.kubeconfig.read_text())
    config["users"] = [{"name": "ci", "user": {"token": token}}]
    context = {"cluster": config["clusters"][0]["name"], "user": "ci", "namespace": NAMESPACE}
    config["contexts"] = [
        {"name": "team", "context": context},
        {"name": "elsewhere", "context": {**context, "namespace": "default"}},
    ]
    config["current-context"] = "elsewhere"  # the ambient one is never used
    path = tmp_path_factory.mktemp("team") / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def suite(team, tmp_path):
    """Runs the suite on the existing host, in a process of its own."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run(*arguments: str, context: str = "team") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--vcluster-host", "existing"]
        command += ["--vcluster-kubeconfig", str(team), "--vcluster-context", context, "--vcluster-timeout", "150"]
        command += ["--vcluster-syncer-image", tag_of_installed(), *arguments]
        # What this run was told about its own host is not meant for that one.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=900, env=environ
        )

    return run


@pytest.mark.timeout(1000)
def test_a_suite_runs_with_just_the_rights_that_are_asked_for_and_leaves_nothing(suite, on_host):
    done = suite("-n", "2")
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert "on host existing" in done.stdout
    kinds = "pods,services,statefulsets,secrets,leases,roles,rolebindings,configmaps"
    on_host("wait", "--for=delete", "pods", "--all", "--namespace", NAMESPACE, "--timeout", "90s")
    left = on_host("get", kinds, "--namespace", NAMESPACE, "--output", "name").split()
    assert sorted(left) == [
        "configmap/kube-root-ca.crt",
        "role.rbac.authorization.k8s.io/ci",
        "rolebinding.rbac.authorization.k8s.io/ci",
    ]


def test_missing_rights_are_told_before_anything_is_made(suite, on_host):
    done = suite("-k", "new and 0", context="elsewhere")
    assert "lacks" in done.stdout, done.stdout + done.stderr
    assert "create statefulsets.apps" in done.stdout
    assert on_host("get", "statefulsets,secrets,leases", "--namespace", "default", "--output", "name") == ""


def test_a_context_that_is_not_there_is_told(suite):
    done = suite("-k", "new and 0", context="nobody")
    assert "The host's kubeconfig can't be used" in done.stdout
    assert "nobody" in done.stdout


@pytest.mark.timeout(600)
def test_a_quota_that_is_too_small_is_told_in_the_hosts_words(suite, on_host):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": NAMESPACE},
        "spec": {"hard": {"requests.memory": "16Mi", "requests.cpu": "1"}},
    }
    on_host("apply", "-f", "-", text=json.dumps(quota))
    try:
        done = suite("-k", "new and 0")
    finally:
        on_host("delete", "resourcequota", "small", "--namespace", NAMESPACE)
    assert "exceeded quota: small" in done.stdout, done.stdout + done.stderr
    assert "--vcluster-pool" in done.stdout

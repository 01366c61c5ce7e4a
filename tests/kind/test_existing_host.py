"""A cluster that is there already as the host, with rights in one namespace only; this run's kind cluster plays it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from teams import NAMESPACE, run_pytest

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


@pytest.fixture
def suite(team, tmp_path):
    """Runs the suite on the existing host, in a process of its own."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run(*arguments: str, context: str = "team") -> subprocess.CompletedProcess[str]:
        return run_pytest(team, tmp_path, *arguments, context=context)

    return run


@pytest.mark.timeout(1000)
def test_a_suite_runs_with_just_the_rights_that_are_asked_for_and_leaves_nothing(suite, host_kubectl):
    done = suite("-n", "2")
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert "on host existing" in done.stdout
    kinds = "pods,services,statefulsets,secrets,leases,roles,rolebindings,configmaps"
    host_kubectl("wait", "--for=delete", "pods", "--all", "--namespace", NAMESPACE, "--timeout", "90s")
    left = host_kubectl("get", kinds, "--namespace", NAMESPACE, "--output", "name").split()
    assert sorted(left) == [
        "configmap/kube-root-ca.crt",
        "role.rbac.authorization.k8s.io/ci",
        "rolebinding.rbac.authorization.k8s.io/ci",
    ]


def test_missing_rights_are_told_before_anything_is_made(suite, host_kubectl):
    done = suite("-k", "new and 0", context="elsewhere")
    assert "lacks" in done.stdout, done.stdout + done.stderr
    assert "create statefulsets.apps" in done.stdout
    assert host_kubectl("get", "statefulsets,secrets,leases", "--namespace", "default", "--output", "name") == ""


def test_a_context_that_is_not_there_is_told(suite):
    done = suite("-k", "new and 0", context="nobody")
    assert "The host's kubeconfig can't be used" in done.stdout
    assert "nobody" in done.stdout


@pytest.mark.timeout(600)
def test_a_quota_that_is_too_small_is_told_in_the_hosts_words(suite, host_kubectl):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": NAMESPACE},
        "spec": {"hard": {"requests.memory": "16Mi", "requests.cpu": "1"}},
    }
    host_kubectl("apply", "-f", "-", text=json.dumps(quota))
    try:
        done = suite("-k", "new and 0")
    finally:
        host_kubectl("delete", "resourcequota", "small", "--namespace", NAMESPACE)
    assert "exceeded quota: small" in done.stdout, done.stdout + done.stderr
    assert "--vcluster-pool" in done.stdout


@pytest.mark.timeout(600)
def test_an_image_that_nodes_can_not_pull_is_told(suite):
    image = "registry.invalid/syncer:none"
    done = suite("-k", "new and 0", "--vcluster-syncer-image", image)
    assert re.search(rf"container syncer \({image}\): (ErrImagePull|ImagePullBackOff): ", done.stdout), done.stdout
    assert f"in namespace {NAMESPACE} of " in done.stdout
    assert "see whether the host's nodes can pull them" in done.stdout


@pytest.mark.timeout(600)
def test_leftovers_are_swept_by_hand(team, host_kubectl):
    metadata = {"name": "vc-of-the-dead", "namespace": NAMESPACE, "labels": {"pytest-vcluster/run": "dead"}}
    foreign = {"name": "somebodys", "namespace": NAMESPACE}
    for each in (metadata, foreign):
        service = {"apiVersion": "v1", "kind": "Service", "metadata": each, "spec": {"ports": [{"port": 1}]}}
        host_kubectl("apply", "-f", "-", text=json.dumps(service))
    command = [Path(sys.executable).with_name("pytest-vcluster"), "sweep", "--kubeconfig", team, "--context", "team"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "removed service/vc-of-the-dead\n"
    left = host_kubectl("get", "services", "--namespace", NAMESPACE, "--output", "name").split()
    host_kubectl("delete", "service", "somebodys", "--namespace", NAMESPACE)
    assert left == ["service/somebodys"]

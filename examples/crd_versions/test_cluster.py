"""Every version is a real server of that version, and carries pods."""

import json

import pytest


def test_the_server_is_the_version_that_was_asked_for(vcluster):
    server = json.loads(vcluster.kubectl("version", "-o", "json"))["serverVersion"]

    assert server["gitVersion"] == vcluster.version


def test_a_deployment_becomes_available(vcluster):
    vcluster.kubectl("create", "deployment", "web", "--image=registry.example.org/web:1.0", "--replicas=2")

    vcluster.wait("deployment/web", "condition=Available")
    vcluster.wait("deployment/web", "jsonpath={.status.readyReplicas}=2")
    assert [pod["status"]["phase"] for pod in vcluster.get("Pod", selector="app=web")] == ["Running", "Running"]


@pytest.mark.vcluster(version="1.37")
def test_this_one_runs_on_the_newest_only(vcluster):
    assert vcluster.version.startswith("v1.37.")

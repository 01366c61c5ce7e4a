"""What a user of the chart does with it, on every version that it says it supports."""

import json
import urllib.request

import pytest
from conftest import CHART

pytestmark = pytest.mark.vcluster(containers=True)


def shown(vcluster):
    """What a visitor sees."""
    with (
        vcluster.port_forward("service/page", 80) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer,
    ):
        return answer.read().decode()


def test_an_installed_release_serves_its_page(vcluster, helm, release):
    assert shown(vcluster) == "Hello, world\n"
    assert "page.default.svc" in helm("status", release)


def test_the_tests_of_the_chart_pass(vcluster, helm, release):
    text = helm("test", release, "--logs", "--timeout", "5m")

    assert "Phase:          Succeeded" in text
    assert "Hello, world" in text


def test_an_upgrade_changes_the_page_and_a_rollback_brings_it_back(vcluster, helm, release):
    helm("upgrade", release, CHART, "--set", "greeting=Good evening", "--wait", "--timeout", "5m")
    assert shown(vcluster) == "Good evening\n"

    helm("rollback", release, "1", "--wait", "--timeout", "5m")
    assert shown(vcluster) == "Hello, world\n"

    history = json.loads(helm("history", release, "-o", "json"))
    assert [(each["revision"], each["status"]) for each in history] == [
        (1, "superseded"),
        (2, "superseded"),
        (3, "deployed"),
    ]


def test_nothing_is_left_after_an_uninstall(vcluster, helm, release):
    helm("uninstall", release, "--wait", "--timeout", "5m")

    for kind in ("deployments", "services", "configmaps", "clusterroles"):
        left = vcluster.get(kind, selector="app.kubernetes.io/instance=page")
        assert left == [], kind


def test_nonsense_is_refused_before_anything_is_made(vcluster, helm):
    with pytest.raises(AssertionError, match="/replicas"):
        helm("install", "page", CHART, "--set", "replicas=many")

    assert helm("list", "--short") == ""

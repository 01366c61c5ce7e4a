"""Hazards of definitions that come and go: what the API server and the controllers remember of kinds that are gone.

Each test leaves a definition behind in its own way, has the cluster recycled, and looks at it the way the next test
would, at once.
"""

import time

import pytest
from cluster_objects import definition
from recycled_cluster import Place
from vcluster_syncer.recycle.audit_log import AuditLog

CORE = "/api/v1/namespaces/default"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
COLLECTOR, ACCOUNTANT = "/generic-garbage-collector", "/resourcequota-controller"
SOON = 12.0
"""Seconds, for what takes some milliseconds, and up to thirty seconds where a controller stands still."""


@pytest.fixture(scope="module")
def place():
    with Place() as place:
        yield place


@pytest.fixture
def cluster(place):
    with place.cluster() as cluster:
        yield cluster


def until(look, *, seconds, words):
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {words}"
        time.sleep(0.02)


def define(cluster, plural="widgets"):
    cluster.call("POST", DEFINITIONS, definition(plural))
    until(
        lambda: cluster.status("GET", "/openapi/v3/apis/example.com/v1") == 200,
        seconds=30,
        words=f"{plural} in OpenAPI",
    )


def define_unlistable(cluster):
    """A kind with an object that can't be converted to the version in which controllers ask for it."""
    unlistable = definition("widgets", versions=("v1", "v2"))
    unlistable["spec"]["conversion"] = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": {"url": "https://127.0.0.1:1/"}, "conversionReviewVersions": ["v1"]},
    }
    cluster.call("POST", DEFINITIONS, unlistable)
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "one"}}
    until(
        lambda: cluster.status("POST", "/apis/example.com/v1/namespaces/default/widgets", body) in {200, 409},
        seconds=30,
        words="widgets to be served",
    )
    assert cluster.status("GET", "/apis/example.com/v2/namespaces/default/widgets") == 500


def looked(cluster, *, since):
    """Who of the controller manager asked for all kinds since then."""
    log = AuditLog(cluster.cluster.plane.settings.audit_log)
    events = log.events(log.lines(since)[0])
    agents = {event.get("userAgent", "") for event in events if event["requestURI"] == "/apis"}
    return {name for name in (COLLECTOR, ACCOUNTANT) if any(agent.endswith(name) for agent in agents)}


def wait_for_a_look(cluster, *, since, seconds=60):
    until(
        lambda: looked(cluster, since=since) == {COLLECTOR, ACCOUNTANT}, seconds=seconds, words="both controllers' look"
    )


def noted(cluster):
    return AuditLog(cluster.cluster.plane.settings.audit_log).end()


def collects(cluster):
    owner = cluster.call("POST", f"{CORE}/configmaps", {"metadata": {"name": "owner"}})["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    cluster.call("POST", f"{CORE}/configmaps", {"metadata": {"name": "owned", "ownerReferences": [reference]}})
    cluster.call("DELETE", f"{CORE}/configmaps/owner")
    until(
        lambda: cluster.status("GET", f"{CORE}/configmaps/owned") == 404, seconds=SOON, words="garbage to be collected"
    )


def accounts(cluster):
    quota = {"metadata": {"name": "some"}, "spec": {"hard": {"count/configmaps": "5"}}}
    cluster.call("POST", f"{CORE}/resourcequotas", quota)
    until(
        lambda: "used" in cluster.call("GET", f"{CORE}/resourcequotas/some").get("status", {}),
        seconds=SOON,
        words="a quota to be counted for",
    )


def test_garbage_is_collected_and_quotas_are_counted_after_a_definition_that_controllers_began_with(cluster):
    """They begin when they see every kind that they found, which they never do of one that was put away."""
    define_unlistable(cluster)
    since = noted(cluster)
    fresh = cluster.run(cluster.cluster._replace_controller_manager())
    cluster.freeze(fresh.pid)
    wait_for_a_look(cluster, since=since)
    assert cluster.recycle() == ""
    collects(cluster)
    accounts(cluster)
    assert cluster.recycle() == ""
    assert cluster.differences() == []


def test_quotas_are_counted_after_a_definition_that_controllers_found_on_their_round(cluster):
    """Every thirty seconds they look for new kinds, and who counts for quotas waits until he sees those he found."""
    define_unlistable(cluster)
    wait_for_a_look(cluster, since=noted(cluster))
    assert cluster.recycle() == ""
    accounts(cluster)
    collects(cluster)
    assert cluster.recycle() == ""
    assert cluster.differences() == []


def test_the_controller_manager_stays_when_it_did_not_look(cluster):
    manager = cluster.cluster.plane.controller_manager
    for _ in range(8):  # some of them may meet a round, the more the longer one takes
        before, since = cluster.cluster.plane.controller_manager, noted(cluster)
        define(cluster)
        if not looked(cluster, since=since):
            assert cluster.recycle() == ""
            if not looked(cluster, since=since):
                assert cluster.cluster.plane.controller_manager is before
                return
        else:
            assert cluster.recycle() == ""
    pytest.fail(f"the controller manager looked each time, it was {manager.pid}")


def test_a_definition_that_a_test_deleted_itself_is_served_no_more(cluster):
    """It leaves nothing in the data store that would tell that it was there."""
    for _ in range(3):
        define(cluster)
        cluster.call("DELETE", f"{DEFINITIONS}/widgets.example.com")
        until(
            lambda: cluster.status("GET", f"{DEFINITIONS}/widgets.example.com") == 404,
            seconds=30,
            words="it to be gone",
        )
        assert cluster.recycle() == ""
        assert cluster.differences() == []


def test_limits_that_a_test_deleted_itself_are_not_those_of_the_next_one(cluster):
    """Admission remembers those that it looked up, for thirty seconds."""
    limits = {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}
    cluster.call("POST", f"{CORE}/limitranges", {"metadata": {"name": "some"}, "spec": limits})
    cluster.call("DELETE", f"{CORE}/limitranges/some")
    assert cluster.recycle() == "what was there for a while can't be undone in place: limitranges"

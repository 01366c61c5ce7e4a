import contextlib
import time

import pytest
from cluster_server import Answer, client_of, discovery_of, refusal, served_kinds

from pytest_vcluster.cluster.api import Api
from pytest_vcluster.cluster.conditions import parse_condition
from pytest_vcluster.cluster.discovery import Discovery
from pytest_vcluster.cluster.waiting import wait_until
from pytest_vcluster.errors import ApiError, ComponentDied, Timeout

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def deployment(revision, *, available="False", uid="1"):
    conditions = [{"type": "Available", "status": available, "reason": "Few"}]
    return {
        "metadata": {"name": "web", "resourceVersion": str(revision), "uid": uid},
        "status": {"conditions": conditions},
    }


def listing(revision, *items):
    return Answer(document={"metadata": {"resourceVersion": str(revision)}, "items": list(items)})


def event(kind, state):
    return {"type": kind, "object": state}


@contextlib.contextmanager
def api_of(answer, *, check=lambda: None):
    with client_of(lambda request: served_kinds(request) or answer(request)) as (rest, requests):
        yield Api(rest=rest, discovery=Discovery(rest), check=check), requests


def wait(api, ref, words, *, timeout=30):
    return wait_until(api, api.target(ref), parse_condition(words), words=words, timeout=timeout)


def script(*answers):
    """Answers to lists and watches of deployments in turn; nothing to anything else."""
    left = list(answers)

    def answer(request):
        return left.pop(0) if request.path == DEPLOYMENTS and left else listing(1)

    return answer


def test_what_is_true_already_needs_no_watch():
    with api_of(script(listing(5, deployment(4, available="True")))) as (api, requests):
        found = wait(api, "deployment/web", "condition=Available")
        assert (found["apiVersion"], found["kind"]) == ("apps/v1", "Deployment")
        assert requests[-1].query == {"fieldSelector": "metadata.name=web"}


def test_a_change_is_seen_in_a_watch_from_the_lists_revision():
    changes = [event("MODIFIED", deployment(6)), event("MODIFIED", deployment(7, available="True"))]
    with api_of(script(listing(5, deployment(4)), Answer(lines=changes))) as (api, requests):
        assert wait(api, "deploy/web", "condition=Available")["metadata"]["resourceVersion"] == "7"
        assert requests[-1].query["resourceVersion"] == "5"
        assert requests[-1].query["fieldSelector"] == "metadata.name=web"


def test_an_ended_watch_goes_on_from_where_it_was():
    first, second = (
        Answer(lines=[event("ADDED", deployment(6))]),
        Answer(lines=[event("MODIFIED", deployment(9, available="True"))]),
    )
    with api_of(script(listing(5), first, second)) as (api, requests):
        wait(api, "deploy/web", "condition=Available")
        assert [request.query.get("resourceVersion") for request in requests[2:]] == [None, "5", "6"]


@pytest.mark.parametrize(
    "expired", [Answer(lines=[event("ERROR", {"code": 410, "reason": "Expired"})]), refusal(410, "Expired", "too old")]
)
def test_a_revision_that_is_too_old_leads_to_a_new_list(expired):
    with api_of(script(listing(5), expired, listing(50, deployment(49, available="True")))) as (api, _):
        assert wait(api, "deploy/web", "condition=Available")["metadata"]["resourceVersion"] == "49"


def test_an_object_that_is_not_there_yet_is_waited_for():
    with api_of(script(listing(5), Answer(lines=[event("ADDED", deployment(6))]))) as (api, _):
        assert wait(api, "deploy/web", "create")["metadata"]["name"] == "web"


def test_a_deletion_returns_the_last_state():
    with api_of(script(listing(5, deployment(4)), Answer(lines=[event("DELETED", deployment(6))]))) as (api, _):
        assert wait(api, "deploy/web", "delete")["metadata"]["resourceVersion"] == "4"
    with api_of(script(listing(5))) as (api, _):
        assert wait(api, "deploy/web", "delete") == {}
    with api_of(lambda _: refusal(404, "NotFound", "no path")) as (api, _):
        assert wait(api, "deploy/web", "delete") == {}


def test_other_errors_end_the_wait():
    with api_of(lambda _: refusal(403, "Forbidden", "no")) as (api, _), pytest.raises(ApiError, match="Forbidden"):
        wait(api, "deploy/web", "condition=Available")


def test_a_wait_in_vain_tells_the_state_and_the_events():
    told = {"metadata": {}, "type": "Warning", "reason": "FailedCreate", "message": "quota", "lastTimestamp": "2026"}

    def answer(request):
        if request.path == "/api/v1/namespaces/default/events":
            assert request.query["fieldSelector"] == "involvedObject.name=web,involvedObject.kind=Deployment"
            return listing(1, told)
        return Answer(lines=[]) if "watch" in request.query else listing(5, deployment(4))

    with api_of(answer) as (api, _), pytest.raises(Timeout) as caught:
        wait(api, "deploy/web", "condition=Available", timeout=1.0)
    assert str(caught.value).startswith(
        "Waiting for Deployment web in namespace default: condition=Available: not within "
    )
    assert "Last seen: Available=False (Few)" in str(caught.value)
    assert "Warning FailedCreate: quota" in str(caught.value)
    assert "--vcluster-timeout" in str(caught.value)


def test_a_wait_for_what_never_comes_says_so():
    def answer(request):
        return Answer(lines=[]) if "watch" in request.query else listing(5)

    with api_of(answer) as (api, _), pytest.raises(Timeout, match="Last seen: no such object\nNo events tell of it"):
        wait(api, "deploy/web", "condition=Available", timeout=1.0)


def test_a_death_ends_a_wait_before_its_time():
    began = time.monotonic()
    checks = []

    def check():
        checks.append(1)
        if len(checks) > 1:
            raise ComponentDied("syncer", status="killed by signal 9")

    def answer(request):
        return Answer(lines=[]) if "watch" in request.query else listing(5)

    with api_of(answer, check=check) as (api, _), pytest.raises(ComponentDied):
        wait(api, "deploy/web", "condition=Available", timeout=60)
    assert time.monotonic() - began < 10


def test_a_kind_that_is_served_in_another_version_by_now_is_found():
    groups = [discovery_of(("widgets", "Widget", "Namespaced", {}), group="example.com", version="v1")]
    newer = discovery_of(("widgets", "Widget", "Namespaced", {}), group="example.com", version="v2")

    def answer(request):
        if "/v1/" in request.path:
            return refusal(404, "NotFound", "the server could not find the requested resource")
        return listing(5, {"metadata": {"name": "a"}})

    with client_of(lambda request: served_kinds(request, *groups) or answer(request)) as (rest, _):
        api = Api(rest=rest, discovery=Discovery(rest), check=lambda: None)
        target = api.target("widget/a")
        groups[:] = [newer]
        found = wait_until(api, target, parse_condition("create"), words="create", timeout=30)
        assert found["apiVersion"] == "example.com/v2"


def test_objects_are_references_too():
    with api_of(script()) as (api, _):
        own = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "x", "uid": "7"}}
        target = api.target(own, namespace="other")
        assert (target.path, target.uid) == ("/apis/apps/v1/namespaces/x/deployments/web", "7")
        assert (
            api.target({"kind": "Namespace", "metadata": {"name": "y"}}, namespace="other").path
            == "/api/v1/namespaces/y"
        )
        assert api.target("po/web", namespace="x").namespace == "x"


@pytest.mark.parametrize("reference", ["web", "deployment/", "/web", "a/b/c", "deploy/a b", {}, {"kind": "Pod"}])
def test_what_names_no_object_is_refused(reference):
    with api_of(script()) as (api, _), pytest.raises(ValueError, match="names no(thing| object)"):
        api.target(reference)

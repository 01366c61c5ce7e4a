import contextlib
import datetime

import pytest
from cluster_server import Answer, client_of, discovery_of, refusal, served_kinds
from hypothesis import given
from hypothesis import strategies as st

from pytest_vcluster.cluster import applying
from pytest_vcluster.cluster.api import Api
from pytest_vcluster.cluster.discovery import Discovery
from pytest_vcluster.cluster.manifests import Document
from pytest_vcluster.errors import ApiError, ManifestError

WIDGETS = discovery_of(("widgets", "Widget", "Namespaced", {}), group="example.com")
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com", "resourceVersion": "1"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": True}, {"name": "v0", "served": False}],
    },
}
DEFINITION_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"


def thing(kind="ConfigMap", name="a", api_version="v1", **fields):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}


def documents(*objects):
    return [Document(object=found, number=number) for number, found in enumerate(objects, start=1)]


class Server:
    """An API server that stores what is applied, and takes its time over definitions."""

    def __init__(self, *, refused=None):
        self.refused = refused or {}
        self.applied = []
        self.deleted = []
        self.now = now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.established = {**DEFINITION, "status": {"conditions": [
            {"type": "NamesAccepted", "status": "True", "lastTransitionTime": now},
            {"type": "Established", "status": "True", "lastTransitionTime": now},
        ]}}  # fmt: skip
        self.served_after = 2
        self.patches = []
        self.probes = 0

    def __call__(self, request):
        known = served_kinds(request, *([WIDGETS] if self.served_after <= 0 else []))
        if known:
            return known
        name = request.path.rpartition("/")[2]
        if request.method == "PATCH" and request.path.endswith("/status"):
            self.patches.append(request.body)
            return Answer(document=self.established)
        if request.method == "PATCH":
            if name in self.refused:
                return self.refused[name].pop(0) if isinstance(self.refused[name], list) else self.refused[name]
            self.applied.append(request)
            return Answer(document={**request.body, "stored": True})
        if request.method == "DELETE":
            self.deleted.append(request.path)
            return Answer(document={"kind": "Status", "details": {"uid": "7"}})
        if request.method == "POST":
            self.probes += 1
            return refusal(400, "BadRequest", "no body")
        if request.path == "/apis/example.com/v1":
            self.served_after -= 1
            return (
                refusal(404, "NotFound", "not yet")
                if self.served_after > 0
                else Answer(document={"resources": [{"name": "widgets", "kind": "Widget"}]})
            )
        definitions = [self.established] if "customresourcedefinitions" in request.path and self.established else []
        return Answer(document={"metadata": {"resourceVersion": "9"}, "items": definitions})


@contextlib.contextmanager
def api_of(server):
    with client_of(server) as (rest, _):
        yield Api(rest=rest, discovery=Discovery(rest), check=lambda: None)


def apply(server, *objects, namespace="default"):
    with api_of(server) as api:
        return applying.apply(api, documents(*objects), namespace=namespace, timeout=5)


def test_objects_are_applied_by_force_under_one_name():
    server = Server()
    (found,) = apply(server, thing(data={"a": "b"}))
    assert found == {**thing(data={"a": "b"}), "metadata": {"name": "a", "namespace": "default"}, "stored": True}
    (request,) = server.applied
    assert request.path == "/api/v1/namespaces/default/configmaps/a"
    assert request.query == {"fieldManager": "pytest-vcluster", "force": "true", "fieldValidation": "Strict"}
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"


def test_definitions_and_namespaces_go_first_and_answers_come_in_the_order_given():
    server = Server()
    found = apply(server, thing("Widget", "w", "example.com/v1"), thing(name="b"), thing("Namespace", "n"), DEFINITION)
    assert [request.path.rpartition("/")[2] for request in server.applied] == ["widgets.example.com", "n", "w", "b"]
    assert [answer["metadata"]["name"] for answer in found] == ["w", "b", "n", "widgets.example.com"]


@given(
    st.lists(
        st.sampled_from([thing(), thing("Namespace"), DEFINITION, thing("Namespace", api_version="x/v1")]), max_size=8
    )
)
def test_the_order_of_what_is_alike_is_the_one_given(objects):
    staged = sorted(range(len(objects)), key=lambda at: applying.stage(objects[at]))
    for turn in range(3):
        same = [at for at in staged if applying.stage(objects[at]) == turn]
        assert same == sorted(same)


def test_a_definition_is_established_served_and_without_delay_before_its_objects_come():
    server = Server()
    apply(server, DEFINITION)
    assert server.served_after <= 0
    assert server.probes == 1
    (test, replace) = server.patches[0]
    assert test == {"op": "test", "path": "/status/conditions/1/type", "value": "Established"}
    assert replace["path"] == "/status/conditions/1/lastTransitionTime"
    assert replace["value"] < server.now


def test_an_old_definition_is_left_as_it_is():
    server = Server()
    for condition in server.established["status"]["conditions"]:
        condition["lastTransitionTime"] = "2020-01-01T00:00:00Z"
    apply(server, DEFINITION)
    assert not server.patches
    assert not server.probes


def test_a_definition_that_somebody_else_applied_a_moment_ago_is_waited_for():
    server = Server()
    apply(server, thing("Widget", "w", "example.com/v1"))
    assert server.probes == 1
    assert server.applied[0].path == "/apis/example.com/v1/namespaces/default/widgets/w"


def test_names_that_are_taken_are_an_error_with_the_servers_reason():
    server = Server()
    server.established["status"]["conditions"][0].update(status="False", message="widgets is in use")
    with pytest.raises(ManifestError, match="widgets.example.com: its names are refused: widgets is in use"):
        apply(server, DEFINITION)


def test_a_kind_that_does_not_exist_stops_before_anything_is_written():
    server = Server()
    server.established = None
    with pytest.raises(ManifestError, match="number 2: the API server has no kind Deploymnet in apps/v1.*deployment"):
        apply(server, thing(), thing("Deploymnet", api_version="apps/v1"))
    assert not server.applied


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_refusal_tells_place_object_and_reason_and_is_both_kinds_of_error(status):
    server = Server(refused={"a": refusal(status, "Invalid", "spec.size: must be positive")})
    with pytest.raises(
        ManifestError, match="number 1: ConfigMap a was refused by the API server: .*must be positive"
    ) as caught:
        apply(server, thing())
    assert isinstance(caught.value, ApiError)
    assert (caught.value.status, caught.value.reason) == (status, "Invalid")


def test_a_failing_server_is_no_fault_of_the_manifest():
    server = Server(refused={"a": refusal(500, "InternalError", "oops")})
    with pytest.raises(ApiError) as caught:
        apply(server, thing())
    assert not isinstance(caught.value, ManifestError)


def test_a_wrong_field_is_a_fault_of_the_manifest_though_the_server_calls_it_its_own():
    message = "failed to create typed patch object (default/a): .spec.x: field not declared in schema"
    with pytest.raises(ManifestError, match="field not declared in schema"):
        apply(Server(refused={"a": refusal(500, "", message)}), thing())


def test_objects_that_the_server_gave_out_can_be_applied_again():
    server = Server()
    given = thing()
    given["metadata"] |= {"managedFields": [{}], "resourceVersion": "7", "namespace": "x"}
    before = repr(given)
    apply(server, given)
    assert server.applied[0].body["metadata"] == {"name": "a", "namespace": "x", "resourceVersion": "7"}
    assert repr(given) == before


def test_a_namespace_is_for_objects_that_have_none_and_can_have_one():
    server = Server()
    apply(server, thing(), thing("Namespace", "n"), namespace="x")
    assert [request.path for request in server.applied] == ["/api/v1/namespaces/n", "/api/v1/namespaces/x/configmaps/a"]


def test_a_pod_in_a_new_namespace_waits_for_its_account():
    missing = refusal(
        403, "Forbidden", 'error looking up service account x/default: serviceaccount "default" not found'
    )
    server = Server(refused={"p": [missing, Answer(document={"ok": 1})]})

    def answer(request):
        if request.path == "/api/v1/namespaces/x/serviceaccounts":
            return Answer(document={"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "default"}}]})
        return server(request)

    with client_of(answer) as (rest, requests):
        api = Api(rest=rest, discovery=Discovery(rest), check=lambda: None)
        assert applying.apply(api, documents(thing("Pod", "p")), namespace="x", timeout=5) == [{"ok": 1}]
        assert [request.query for request in requests if request.path.endswith("serviceaccounts")] == [
            {"fieldSelector": "metadata.name=default"}
        ]


def test_deletion_goes_the_other_way_round():
    server = Server()
    server.established = None
    given = documents(DEFINITION, thing("Namespace", "n"), thing(name="a"), thing(name="b"), thing("Nothing"))
    with api_of(server) as api:
        targets = applying.targets_of(api, given, namespace="default")
        applying.delete(api, targets, wait=True, timeout=5)
    assert [path.rpartition("/")[2] for path in server.deleted] == ["b", "a", "n", "widgets.example.com"]


def test_what_is_not_there_is_gone_already():
    with api_of(lambda request: served_kinds(request) or refusal(404, "NotFound", "no")) as api:
        applying.delete(api, [api.target("cm/a")], wait=True, timeout=5)


def test_an_object_given_as_it_was_is_deleted_only_if_it_still_is_the_same():
    def answer(request):
        known = served_kinds(request)
        if known:
            return known
        assert request.body["preconditions"] == {"uid": "1"}
        return refusal(409, "Conflict", "the UID in the precondition does not match")

    with api_of(answer) as api:
        given = thing()
        given["metadata"]["uid"] = "1"
        applying.delete(api, applying.targets_of(api, documents(given), namespace="default"), wait=True, timeout=5)

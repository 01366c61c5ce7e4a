import json
from types import MappingProxyType

import pytest
from vcluster_syncer.kube import requests
from vcluster_syncer.model import ENDPOINT_SLICES, NODES, PODS


def test_a_list_asks_for_pages_of_one_namespace_or_all():
    assert requests.list_page(PODS).path == "/api/v1/pods?limit=500"
    page = requests.list_page(ENDPOINT_SLICES, namespace="x", continue_token="a=b", limit=0)
    assert page.path == "/apis/discovery.k8s.io/v1/namespaces/x/endpointslices?continue=a%3Db"


def test_a_watch_asks_for_bookmarks_from_a_revision_on():
    assert requests.watch(NODES, revision="5", seconds=300).path == (
        "/api/v1/nodes?watch=1&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds=300"
    )


def test_a_merge_patch_carries_its_preconditions_and_leaves_the_patch_alone():
    patch = {"metadata": {"labels": {"a": "b"}}}
    made = requests.merge_patch(PODS, namespace="x", name="a", uid="u", resource_version="9", patch=patch)
    assert json.loads(made.body) == {"metadata": {"labels": {"a": "b"}, "uid": "u", "resourceVersion": "9"}}
    assert made.content_type == "application/merge-patch+json"
    assert patch == {"metadata": {"labels": {"a": "b"}}}


def test_a_subresource_is_patched_where_it_is():
    made = requests.merge_patch(PODS, namespace="x", name="a", uid="u", patch={}, subresource="resize")
    assert made.path.startswith("/api/v1/namespaces/x/pods/a/resize?")


def test_a_deletion_leaves_the_grace_to_the_server_unless_told():
    without = json.loads(requests.delete(PODS, namespace="x", name="a", uid="u").body)
    assert "gracePeriodSeconds" not in without
    assert json.loads(requests.delete(PODS, namespace="x", name="a", uid="u", grace_seconds=0).body) == {
        **without,
        "gracePeriodSeconds": 0,
    }


def test_a_token_is_asked_for_the_server_itself_unless_an_audience_is_named():
    asked = {"namespace": "x", "service_account": "sa", "pod_name": "a", "pod_uid": "u", "seconds": 600}
    assert "audiences" not in json.loads(requests.token(**asked, audiences=()).body)["spec"]
    assert json.loads(requests.token(**asked, audiences=("vault",)).body)["spec"]["audiences"] == ["vault"]


def test_a_request_tells_what_it_does_without_its_query():
    assert str(requests.list_page(PODS)) == "GET /api/v1/pods"


def test_read_only_mappings_are_sent_as_objects_and_anything_else_is_a_mistake():
    assert json.loads(requests.create(PODS, MappingProxyType({"a": MappingProxyType({"b": 1})})).body) == {
        "a": {"b": 1}
    }
    with pytest.raises(TypeError):
        requests.create(PODS, {"a": object()})

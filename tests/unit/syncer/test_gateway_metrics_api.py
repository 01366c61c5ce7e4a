"""metrics.k8s.io as a virtual cluster has it: which requests there are, and how they are answered."""

from __future__ import annotations

import pytest
from vcluster_syncer.gateway.metrics_api import as_list, as_status, discovery, parse
from vcluster_syncer.gateway.routes import Refused
from vcluster_syncer.model import NODE_METRICS, POD_METRICS, Key

ROOT = "/apis/metrics.k8s.io/v1beta1"
BOTH = (POD_METRICS, NODE_METRICS)


def read(path, method="GET", told=BOTH, **query):
    return parse(method, path.split("/")[1:], query, told)


@pytest.mark.parametrize(
    ("path", "resource", "key"),
    [
        (f"{ROOT}/pods", POD_METRICS, Key("", "")),
        (f"{ROOT}/namespaces/default/pods", POD_METRICS, Key("default", "")),
        (f"{ROOT}/namespaces/default/pods/web", POD_METRICS, Key("default", "web")),
        (f"{ROOT}/nodes", NODE_METRICS, Key("", "")),
        (f"{ROOT}/nodes/node-1", NODE_METRICS, Key("", "node-1")),
    ],
)
def test_what_can_be_asked(path, resource, key):
    asked = read(path)
    assert (asked.resource, asked.key) == (resource, key)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/apis", "/apis/metrics.k8s.io", "/apis/metrics.k8s.io/v1/pods", "/apis/other.io/v1beta1/pods"),
        *(
            "/api/v1/pods",
            "/containerLogs/default/web/main",
            "/openapi/v3",
            "/openapi/v2",
            f"{ROOT}/services",
            f"{ROOT}/pods/web",
        ),
        *(f"{ROOT}/namespaces/default/nodes", f"{ROOT}/namespaces/default/nodes/a", f"{ROOT}/namespaces/pods"),
        *(f"{ROOT}/namespaces//pods", f"{ROOT}/namespaces/default/pods/web/log", f"{ROOT}/nodes/a/b"),
    ],
)
def test_all_else_is_not_there(path):
    with pytest.raises(Refused) as refused:
        read(path)
    assert refused.value.status == 404


def test_nor_is_what_is_not_told():
    assert read(f"{ROOT}/pods", told=(POD_METRICS,))
    with pytest.raises(Refused):
        read(f"{ROOT}/nodes", told=(POD_METRICS,))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
def test_figures_can_only_be_read(method):
    with pytest.raises(Refused, match="is not allowed") as refused:
        read(f"{ROOT}/namespaces/default/pods/web", method)
    assert refused.value.status == 405


@pytest.mark.parametrize("watch", ["1", "true"])
def test_nor_be_watched(watch):
    with pytest.raises(Refused, match="watch is not supported on pods.metrics.k8s.io") as refused:
        read(f"{ROOT}/pods", watch=watch)
    assert refused.value.status == 405
    assert read(f"{ROOT}/pods", watch="false")


@pytest.mark.parametrize("query", [{"labelSelector": "a=b=c"}, {"fieldSelector": "status.phase=Running"}])
def test_a_selector_that_is_none_is_a_bad_request(query):
    with pytest.raises(Refused) as refused:
        read(f"{ROOT}/pods", **query)
    assert refused.value.status == 400


def figures(name, namespace="default", **labels):
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}}


def test_a_list_is_of_what_is_selected_in_the_order_of_names():
    known = [figures("b", app="x"), figures("a", app="x"), figures("c"), figures("a", "apart", app="x")]
    asked = read(f"{ROOT}/pods", labelSelector="app=x", limit="500", resourceVersion="0")
    answer = as_list(asked, known)
    assert (answer["kind"], answer["apiVersion"]) == ("PodMetricsList", "metrics.k8s.io/v1beta1")
    named = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in answer["items"]]
    assert named == [("apart", "a"), ("default", "a"), ("default", "b")]
    of_one = as_list(read(f"{ROOT}/namespaces/apart/pods", fieldSelector="metadata.name=a"), known)
    assert [item["metadata"]["namespace"] for item in of_one["items"]] == ["apart"]


def test_nodes_have_no_namespace():
    node = {"metadata": {"name": "node-1"}}
    assert as_list(read(f"{ROOT}/nodes"), [node])["items"] == [node]


def test_refusals_are_in_an_api_servers_words():
    assert as_status(read(f"{ROOT}/namespaces/default/pods/web").not_found) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'pods.metrics.k8s.io "web" not found',
        "reason": "NotFound",
        "code": 404,
    }
    assert as_status(Refused(503, "gone"))["reason"] == "ServiceUnavailable"


@pytest.mark.parametrize("told", [BOTH, (POD_METRICS,), (NODE_METRICS,)])
def test_what_it_says_of_itself_is_what_is_told(told):
    said = discovery(told)
    assert (said["kind"], said["groupVersion"]) == ("APIResourceList", "metrics.k8s.io/v1beta1")
    kinds = [(kind["name"], kind["kind"], kind["namespaced"]) for kind in said["resources"]]
    assert kinds == [(one.plural, one.kind, one.namespaced) for one in told]
    # What can be watched is; and a controller manager watches what can be deleted.
    assert all(kind["verbs"] == ["get", "list"] for kind in said["resources"])

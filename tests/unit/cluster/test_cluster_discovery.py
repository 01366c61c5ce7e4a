import pytest
from cluster_server import APPS, CORE, Answer, client_of, discovery_of, served_kinds

from pytest_vcluster.cluster.discovery import ACCEPT, Catalog, Discovery, read_groups
from pytest_vcluster.errors import ApiError

WIDGETS = discovery_of(("widgets", "Widget", "Namespaced", {"shortNames": ["wd"]}), group="example.com", version="v2")
WIDGETS["versions"] += discovery_of(("widgets", "Widget", "Namespaced", {}), group="example.com", version="v1")[
    "versions"
]
MORE_PODS = discovery_of(("pods", "PodMetrics", "Namespaced", {}), group="metrics.k8s.io", version="v1beta1")
CATALOG = Catalog(tuple(read_groups({"items": [CORE, APPS, WIDGETS, MORE_PODS]})))


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("pods", "pods"),
        ("pod", "pods"),
        ("Pod", "pods"),
        ("POD", "pods"),
        ("po", "pods"),
        ("deploy", "deployments.apps"),
        ("deployments.apps", "deployments.apps"),
        ("Deployment.apps", "deployments.apps"),
        ("deployments.v1.apps", "deployments.apps"),
        ("deploy.apps", "deployments.apps"),
        ("widgets.example.com", "widgets.example.com"),
        ("wd.example.com", "widgets.example.com"),
        ("widgets.v1.example.com", "widgets.example.com"),
        ("pods.metrics.k8s.io", "pods.metrics.k8s.io"),
        ("podmetrics", "pods.metrics.k8s.io"),
    ],
)
def test_a_kind_is_found_by_every_word_that_kubectl_takes(word, found):
    resource = CATALOG.called(word)
    assert resource is not None
    assert resource.qualified == found


@pytest.mark.parametrize("word", ["", "nothing", "pods.apps", "deployments.v2.apps", "wd.apps", "po/x"])
def test_other_words_find_nothing(word):
    assert CATALOG.called(word) is None


def test_the_preferred_version_comes_first_and_others_by_name():
    assert CATALOG.called("wd").version == "v2"
    assert CATALOG.called("widgets.v1.example.com").version == "v1"
    assert CATALOG.of("example.com/v1", "Widget").version == "v1"
    assert CATALOG.of("example.com/v3", "Widget") is None
    assert [found.version for found in CATALOG.preferred() if found.plural == "widgets"] == ["v2"]
    assert len({(found.group, found.plural) for found in CATALOG.preferred()}) == len(CATALOG.preferred())


def test_paths_are_those_of_the_api():
    pods, namespaces = CATALOG.called("pods"), CATALOG.called("ns")
    assert pods.path() == "/api/v1/pods"
    assert pods.path(namespace="x") == "/api/v1/namespaces/x/pods"
    assert pods.path(namespace="x", name="y", subresource="status") == "/api/v1/namespaces/x/pods/y/status"
    assert namespaces.path(namespace="ignored", name="y") == "/api/v1/namespaces/y"
    assert CATALOG.called("deploy").path(namespace="x") == "/apis/apps/v1/namespaces/x/deployments"
    assert CATALOG.called("deploy").api_version == "apps/v1"


def test_resources_of_which_only_parts_exist_are_left_out():
    odd = {
        "metadata": {"name": "g"},
        "versions": [{"version": "v1", "resources": [{"resource": "x", "scope": "Cluster"}]}],
    }
    assert list(read_groups({"items": [odd]})) == []


def test_an_unknown_kind_is_asked_for_again_and_a_known_one_is_not():
    groups = []
    with client_of(lambda request: served_kinds(request, *groups)) as (rest, requests):
        discovery = Discovery(rest)
        assert discovery.called("pods").kind == "Pod"
        assert discovery.called("deploy").kind == "Deployment"
        assert len(requests) == 2
        assert requests[0].headers["Accept"] == ACCEPT
        groups.append(WIDGETS)
        assert discovery.called("wd").kind == "Widget"
        assert discovery.of("example.com/v1", "Widget") is not None
        assert len(requests) == 4


def test_a_kind_that_does_not_exist_is_told_with_those_meant_perhaps():
    with client_of(lambda request: served_kinds(request) or Answer(404)) as (rest, _):
        with pytest.raises(ApiError, match="no kind 'deploymnets'; did you mean deployments") as caught:
            Discovery(rest).called("deploymnets")
        assert caught.value.status == 404
        assert Discovery(rest).of("v9", "Pod") is None

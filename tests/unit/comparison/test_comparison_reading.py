from pytest_vcluster.cluster.discovery import ACCEPT
from pytest_vcluster.comparison import Schemas, read
from pytest_vcluster.comparison.reading import AGGREGATED, all_schemas, listable, parts_of
from pytest_vcluster.errors import ApiError


def resource(name, *verbs):
    return {"resource": name, "verbs": list(verbs)}


def group(name, **versions):
    listed = [{"version": version, "resources": resources} for version, resources in versions.items()]
    return {**({"metadata": {"name": name}} if name else {}), "versions": listed}


CORE = group("", v1=[resource("configmaps", "get", "list"), resource("bindings", "create")])
CORE["versions"][0]["resources"].append(resource("componentstatuses", "get", "list"))
APPS = group("apps", v2=[resource("deployments", "list")], v1=[resource("deployments", "list"), resource("x", "list")])


class Server:
    """Answers by path; whatever it does not know is not there."""

    def __init__(self, **answers):
        self.asked = []
        self.answers = {
            ("/api", AGGREGATED): {"items": [CORE]},
            ("/apis", AGGREGATED): {"items": [APPS]},
            "/api": {"versions": ["v1"]},
            "/api/v1": {"resources": []},
            "/apis": {"groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v2"}]}]},
            "/apis/apps": {"name": "apps"},
            "/apis/apps/v2": {"resources": []},
            "/api/v1/configmaps": {"items": [{"metadata": {"name": "a", "namespace": "b"}, "data": {}}]},
            "/apis/apps/v2/deployments": {"items": None},
            "/openapi/v3": {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=AB"}}},
            "/openapi/v3/api/v1?hash=AB": {"paths": {"/p": {}}, "components": {"schemas": {"S": {}}}},
            **answers,
        }

    def call(self, method, path, *, accept="application/json"):
        assert method == "GET"
        self.asked.append(path)
        answer = self.answers.get((path, accept)) or self.answers.get(path)
        if answer is None:
            raise ApiError("no", status=404, reason="NotFound", method=method, path=path)
        return answer


def test_each_kind_is_listed_once_in_the_version_its_group_prefers():
    assert list(listable([{"items": [CORE]}, {"items": [APPS]}, {}])) == [
        ("configmaps", "/api/v1/configmaps"),
        ("deployments.apps", "/apis/apps/v2/deployments"),
        ("x.apps", "/apis/apps/v1/x"),
    ]


def test_figures_are_no_state():
    measured = group("metrics.k8s.io", v1beta1=[resource("pods", "get", "list"), resource("nodes", "get", "list")])
    assert list(listable([{"items": [measured]}])) == []


def test_everything_is_read():
    state = read(Server())
    assert state.objects == {
        "configmaps": {"b/a": {"metadata": {"name": "a", "namespace": "b"}, "data": {}}},
        "deployments.apps": {},
        "x.apps": {},
    }
    assert set(state.discovery) == {
        "/api (aggregated)",
        "/apis (aggregated)",
        "/api",
        "/api/v1",
        "/apis",
        "/apis/apps",
        "/apis/apps/v2",
    }
    assert state.schemas == {"api/v1": Schemas(hash="AB")}


def test_what_is_listed_and_not_served_is_kept():
    assert read(Server()).failures == {"/apis/apps/v1/x": "404 NotFound"}


def test_schemas_are_read_as_far_as_they_are_wanted():
    known = read(Server(), with_schema=all_schemas)
    assert known.schemas["api/v1"].parts is not None
    assert set(known.schemas["api/v1"].parts) == {"path /p", "schema S"}
    same, other = (
        Server(),
        Server(
            **{
                "/openapi/v3": {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=CD"}}},
                "/openapi/v3/api/v1?hash=CD": {"paths": {"/p": {"get": {}}}},
            }
        ),
    )
    assert read(same, with_schema=known.has_other_schema).schemas["api/v1"].parts is None
    assert "/openapi/v3/api/v1?hash=AB" not in same.asked
    parts = read(other, with_schema=known.has_other_schema).schemas["api/v1"].parts
    assert parts is not None
    assert set(parts) == {"path /p"}
    assert parts["path /p"] != known.schemas["api/v1"].parts["path /p"]
    assert known.has_other_schema("apis/new/v1", "EF")


def test_parts_do_not_depend_on_the_order_in_a_document():
    assert parts_of({"paths": {"/p": {"a": 1, "b": 2}}}) == parts_of({"paths": {"/p": {"b": 2, "a": 1}}})
    assert parts_of({}) == {}


def test_both_readers_of_discovery_ask_for_the_same():
    assert AGGREGATED == ACCEPT


def test_the_second_version_of_openapi_is_never_asked_for():
    server = Server()
    read(server, with_schema=all_schemas)
    assert not [path for path in server.asked if path.startswith("/openapi/v2")]

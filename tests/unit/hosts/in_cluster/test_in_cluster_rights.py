"""Rights on a host: which are needed, how they are asked for, and what is said of those that are missing."""

from pytest_vcluster.hosts.in_cluster import rights
from pytest_vcluster.hosts.in_cluster.rights import Right

RENDERED = [
    {"kind": "Service", "metadata": {"name": "vc"}},
    {"kind": "StatefulSet", "metadata": {"name": "vc"}},
    {
        "kind": "Role",
        "metadata": {"name": "vc"},
        "rules": [
            {"apiGroups": ["", "apps"], "resources": ["pods", "pods/log"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["services"], "verbs": ["delete"], "resourceNames": ["vc"]},
        ],
    },
    {
        "kind": "ClusterRole",
        "metadata": {"name": "vc"},
        "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}],
    },
]


def test_making_an_object_is_a_right_and_so_is_every_one_in_a_role():
    found = rights.needed(RENDERED, forwarded=False)
    assert Right("apps", "statefulsets", "create") in found
    assert Right("rbac.authorization.k8s.io", "roles", "create") in found
    assert Right("", "pods/log", "get") in found
    assert Right("", "services", "delete", "vc") in found
    assert Right("", "nodes", "list", everywhere=True) in found
    assert Right("rbac.authorization.k8s.io", "clusterroles", "delete", everywhere=True) in found
    assert len(found) == len(set(found))


def test_who_is_not_reached_directly_needs_to_forward_ports():
    forwarding = Right("", "pods/portforward", "get")
    assert forwarding in rights.needed(RENDERED, forwarded=True)
    assert forwarding not in rights.needed(RENDERED, forwarded=False)


def test_each_is_asked_for_where_it_is_needed():
    def attributes(right):
        return rights.review(right, "team")["spec"]["resourceAttributes"]

    assert attributes(Right("", "pods/log", "get")) == {
        "resource": "pods", "subresource": "log", "verb": "get", "namespace": "team",
    }  # fmt: skip
    assert attributes(Right("", "nodes", "list", everywhere=True)) == {"resource": "nodes", "verb": "list"}
    assert attributes(Right("apps", "statefulsets", "create"))["group"] == "apps"


def test_only_what_the_host_denies_is_missing():
    class Host:
        def call(self, _method, _path, body):
            allowed = body["spec"]["resourceAttributes"]["resource"] != "secrets"
            return {"status": {"allowed": allowed}}

    asked = [Right("", "secrets", "create"), Right("", "pods", "get")]
    assert rights.missing(Host(), "team", asked) == asked[:1]


def test_what_is_missing_is_told_right_by_right():
    said = str(rights.refusal([Right("apps", "statefulsets", "create")], where="context c", namespace="team"))
    assert "create statefulsets.apps" in said
    assert "context c" in said
    assert "--vcluster-namespace" in said

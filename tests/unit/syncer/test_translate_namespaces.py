"""A host namespace for each virtual one: what it is called, whose it is, and what the other kinds make of it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syncer_worlds import Worlds, host_pod, pod, tenant
from vcluster_syncer.model import (
    GATEWAYS,
    HTTP_ROUTES,
    NAMESPACES,
    NETWORK_POLICIES,
    DeleteHost,
    Key,
    Refuse,
    Tenant,
)
from vcluster_syncer.naming import host_name, host_namespace_of
from vcluster_syncer.translate import gateways, labels, namespaces

ON = [f"to_host.{name}" for name in ("namespaces", "network_policies", "gateways", "http_routes")]
EACH = tenant(each_namespace=True)
TEAM = Key("", "team")
EVERYWHERE = {"matchLabels": {"vcluster-syncer/tenant": "vc-a1"}}
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
PATTERNS = st.sampled_from(["{tenant}-{namespace}", "{namespace}", "", "all", "{namespace}-{tenant}", "-{tenant}-"])


@pytest.fixture
def worlds() -> Worlds:
    return Worlds(EACH, on=ON)


def there(worlds: Worlds) -> dict[str, Any]:
    worlds.settle(NAMESPACES, TEAM)
    return worlds.there[NAMESPACES, host_namespace_of(EACH, "team")]


@given(st.lists(st.tuples(NAMES, NAMES, PATTERNS), min_size=2, max_size=6, unique_by=lambda one: one[:2]))
def test_names_are_legal_and_never_meet(cases: list[tuple[str, str, str]]) -> None:
    found = [
        host_namespace_of(replace(tenant(name), each_namespace=True, namespace_pattern=pattern), space)
        for name, space, pattern in cases
    ]
    assert len(set(found)) == len(found)
    for name in found:
        assert 0 < len(name) <= 63
        assert name[0].isalpha()
        assert name[-1].isalnum()
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_name_begins_as_its_pattern_says() -> None:
    assert host_namespace_of(EACH, "team").startswith("vc-a1-team-")
    assert host_namespace_of(replace(EACH, namespace_pattern="ci-{namespace}"), "team").startswith("ci-team-")
    assert host_namespace_of(tenant(), "team") == "vc-a1-ns"


def test_a_namespace_is_made_followed_and_ended(worlds: Worlds) -> None:
    hostile = {"pod-security.kubernetes.io/enforce": "privileged", "env": "test"}
    annotations = {"scheduler.alpha.kubernetes.io/node-selector": "a=b"}
    made = worlds.put(NAMESPACES, "", "team", metadata={"labels": hostile, "annotations": annotations})
    host = there(worlds)
    own = {"vcluster-syncer/tenant": "vc-a1", "vcluster-syncer/namespace": "team"}
    assert host["metadata"]["labels"] == {**own, **{labels.namespace_key(key): value for key, value in hostile.items()}}
    assert all(key.startswith("vcluster-syncer/") for key in host["metadata"]["annotations"])
    made["metadata"]["labels"] = {"env": "prod"}
    assert there(worlds)["metadata"]["labels"] == {**own, labels.namespace_key("env"): "prod"}
    del worlds.here[NAMESPACES, TEAM]
    assert worlds.look(NAMESPACES, TEAM) == (DeleteHost(NAMESPACES, host["metadata"]["name"], host["metadata"]["uid"]),)


def test_one_that_is_being_deleted_stays_until_it_is_gone(worlds: Worlds) -> None:
    made = worlds.put(NAMESPACES, "", "team")
    there(worlds)
    made["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert worlds.settle(NAMESPACES, TEAM) == ()
    there(worlds)["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    del worlds.here[NAMESPACES, TEAM]
    assert worlds.settle(NAMESPACES, TEAM) == ()


def test_one_that_was_made_anew_keeps_its_host_namespace(worlds: Worlds) -> None:
    worlds.put(NAMESPACES, "", "team")
    before = there(worlds)["metadata"]["uid"]
    made = worlds.put(NAMESPACES, "", "team")
    assert there(worlds)["metadata"]["uid"] == before
    assert there(worlds)["metadata"]["annotations"]["vcluster-syncer/uid"] == made["metadata"]["uid"]


@pytest.mark.parametrize(
    "changed",
    [
        {"labels": {"vcluster-syncer/tenant": "vc-b2"}},
        {"labels": {}},
        {"annotations": {}},
        {"name": "copy"},
    ],
)
def test_a_namespace_of_somebody_else_is_not_touched(worlds: Worlds, changed: dict[str, Any]) -> None:
    made = worlds.put(NAMESPACES, "", "team")
    wanted = namespaces.to_host(TEAM, made, EACH)["metadata"]
    assert namespaces.TO_HOST.host_key({"metadata": wanted}, EACH) == TEAM
    assert namespaces.TO_HOST.host_key({"metadata": wanted}, tenant()) is None
    foreign = {**wanted, **changed}
    assert namespaces.TO_HOST.host_key({"metadata": foreign}, EACH) is None
    if "name" not in changed:
        worlds.put_host(NAMESPACES, foreign["name"], metadata=foreign)
        [action] = worlds.look(NAMESPACES, TEAM)
        assert isinstance(action, Refuse)
        del worlds.here[NAMESPACES, TEAM]
        assert worlds.look(NAMESPACES, TEAM) == ()


def test_a_tenant_with_one_namespace_gets_no_other_though_the_switch_is_on() -> None:
    worlds = Worlds(on=ON)
    worlds.put(NAMESPACES, "", "team")
    assert worlds.look(NAMESPACES, TEAM) == ()


def test_objects_go_where_their_namespace_is(worlds: Worlds) -> None:
    pod(worlds, namespace="team")
    assert host_pod(worlds, namespace="team")["metadata"]["namespace"] == host_namespace_of(EACH, "team")


def test_affinity_reaches_all_namespaces_of_the_tenant_and_chooses_among_them(worlds: Worlds) -> None:
    term = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "db"}}, "namespaces": ["team"]}
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    pod(worlds, affinity={"podAntiAffinity": rule})
    [made] = host_pod(worlds)["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert made["namespaceSelector"] == EVERYWHERE
    assert {"key": "vcluster-syncer/namespace", "operator": "In", "values": ["team"]} in made["labelSelector"][
        "matchExpressions"
    ]


def test_policies_admit_pods_of_all_namespaces_of_the_tenant(worlds: Worlds) -> None:
    peer = {"namespaceSelector": {"matchLabels": {"env": "prod"}}}
    worlds.put(NETWORK_POLICIES, "default", "p", spec={"podSelector": {}, "ingress": [{"from": [peer]}]})
    worlds.settle(NETWORK_POLICIES, Key("default", "p"))
    [made] = worlds.there[NETWORK_POLICIES, host_name("vc-a1", "default", "p")]["spec"]["ingress"][0]["from"]
    assert made["namespaceSelector"] == EVERYWHERE
    assert made["podSelector"]["matchLabels"][labels.namespace_key("env")] == "prod"


@pytest.mark.parametrize(
    ("allowed", "wanted"),
    [
        ({"namespaces": {"from": "Same"}}, {"from": "Same"}),
        ({"namespaces": {"from": "All"}}, {"from": "Selector", "selector": EVERYWHERE}),
        ({"kinds": [{"kind": "HTTPRoute"}]}, {"from": "Same"}),
    ],
)
def test_gateways_and_routes_meet_across_host_namespaces(worlds: Worlds, allowed: Any, wanted: Any) -> None:
    listener = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": allowed}
    gateway = worlds.put(GATEWAYS, "default", "edge", spec={"listeners": [listener]})
    made = gateways.to_host(Key("default", "edge"), gateway, worlds)
    assert made["spec"]["listeners"][0]["allowedRoutes"] == {**allowed, "namespaces": wanted}
    key = Key("team", "web")
    worlds.put(HTTP_ROUTES, *key, spec={"parentRefs": [{"name": "edge", "namespace": "default"}]})
    worlds.settle(HTTP_ROUTES, key)
    spec = worlds.there[HTTP_ROUTES, host_name("vc-a1", *key)]["spec"]
    parent = {"name": host_name("vc-a1", "default", "edge"), "namespace": host_namespace_of(EACH, "default")}
    assert spec.get("parentRefs", []) == ([parent] if wanted["from"] == "Selector" else [])


@given(NAMES, NAMES)
def test_what_is_made_for_a_namespace_is_known_by_its_tenant_alone(name: str, space: str) -> None:
    owner = Tenant(name=name, host_namespace=name, kubernetes_service_ip="10.0.0.1", each_namespace=True)
    made = namespaces.to_host(Key("", space), {"metadata": {"name": space, "uid": "u"}}, owner)
    assert namespaces.TO_HOST.host_key(made, owner) == Key("", space)
    assert namespaces.TO_HOST.host_key(made, replace(owner, name=f"{name}x")) is None

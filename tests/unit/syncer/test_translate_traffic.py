"""Ingresses, network policies and disruption budgets on their way to the host."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syncer_worlds import Worlds, host_pod, pod, tenant
from vcluster_syncer.model import (
    INGRESSES,
    NAMESPACES,
    NETWORK_POLICIES,
    POD_DISRUPTION_BUDGETS,
    SECRETS,
    Key,
    Object,
    Resource,
)
from vcluster_syncer.naming import host_name
from vcluster_syncer.translate import ingress_annotations, labels, networkpolicies, poddisruptionbudgets

WEB = Key("default", "web")
ON = ["to_host.ingresses", "to_host.network_policies", "to_host.pod_disruption_budgets"]
NGINX = "nginx.ingress.kubernetes.io"
ALB = "alb.ingress.kubernetes.io"


@pytest.fixture
def worlds() -> Worlds:
    return Worlds(on=ON)


def on_host(worlds: Worlds, resource: Resource) -> dict[str, Any]:
    worlds.settle(resource, WEB)
    return worlds.there[resource, host_name("vc-a1", *WEB)]


def named(name: str, namespace: str = "default") -> str:
    return host_name("vc-a1", namespace, name)


def backend(name: str) -> dict[str, Any]:
    return {"service": {"name": name, "port": {"number": 80}}}


def ingress(worlds: Worlds, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return worlds.put(INGRESSES, *WEB, metadata={"annotations": annotations or {}}, spec=spec)


def test_an_ingress_leads_to_host_services_and_names_host_secrets(worlds: Worlds) -> None:
    ingress(
        worlds,
        ingressClassName="nginx",
        defaultBackend={"resource": {"apiGroup": "example.org", "kind": "Bucket", "name": "files"}},
        rules=[
            {"host": "a.example.org", "http": {"paths": [{"path": "/", "backend": backend("web")}]}},
            {"host": "b.example.org"},
        ],
        tls=[{"hosts": ["a.example.org"], "secretName": "cert"}, {"hosts": ["b.example.org"]}],
    )
    assert on_host(worlds, INGRESSES)["spec"] == {
        "ingressClassName": "nginx",
        "defaultBackend": {"resource": {"apiGroup": "example.org", "kind": "Bucket", "name": named("files")}},
        "rules": [
            {"host": "a.example.org", "http": {"paths": [{"path": "/", "backend": backend(named("web"))}]}},
            {"host": "b.example.org"},
        ],
        "tls": [{"hosts": ["a.example.org"], "secretName": named("cert")}, {"hosts": ["b.example.org"]}],
    }


def test_secrets_an_ingress_uses_are_on_the_host_while_it_does(worlds: Worlds) -> None:
    annotations = {f"{NGINX}/auth-secret": "users", f"{NGINX}/auth-tls-secret": "other/ca"}
    made = ingress(worlds, annotations, tls=[{"secretName": "cert"}])
    worlds.put(SECRETS, "default", "unused", type="Opaque", data={})
    keys = [Key("default", "users"), Key("other", "ca"), Key("default", "cert")]
    for key in keys:
        worlds.put(SECRETS, *key, type="Opaque", data={})
        worlds.settle(SECRETS, key)
        assert worlds.host(SECRETS, key) is not None
    worlds.settle(SECRETS, Key("default", "unused"))
    assert worlds.host(SECRETS, Key("default", "unused")) is None
    assert worlds.kinds[INGRESSES].references(made) == {(SECRETS, key) for key in keys}
    del worlds.here[INGRESSES, WEB]
    worlds.settle(SECRETS, keys[0])
    assert worlds.host(SECRETS, keys[0]) is None


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        (f"{NGINX}/auth-secret", "users", named("users")),
        (f"{NGINX}/auth-secret", "other/users", f"vc-a1-ns/{named('users', 'other')}"),
        (f"{NGINX}/auth-tls-secret", "default/ca", f"vc-a1-ns/{named('ca')}"),
        (f"{NGINX}/proxy-ssl-secret", "default/ca", f"vc-a1-ns/{named('ca')}"),
        (f"{NGINX}/auth-secret", "", ""),
        (f"{NGINX}/auth-secret", "other/", "other/"),
        (f"{NGINX}/rewrite-target", "/users", "/users"),
        (f"{ALB}/scheme", "internal", "internal"),
    ],
)
def test_annotations_that_name_secrets(worlds: Worlds, name: str, value: str, wanted: str) -> None:
    ingress(worlds, {name: value})
    assert on_host(worlds, INGRESSES)["metadata"]["annotations"][name] == wanted


def test_annotations_of_a_backend_go_by_its_name_on_the_host(worlds: Worlds) -> None:
    groups = [{"serviceName": "blue", "servicePort": 80, "weight": 1}, {"targetGroupARN": "arn"}]
    action = {"type": "forward", "forwardConfig": {"targetGroups": groups}}
    ingress(worlds, {f"{ALB}/actions.split": json.dumps(action), f"{ALB}/conditions.split": "[no json"})
    annotations = on_host(worlds, INGRESSES)["metadata"]["annotations"]
    groups[0]["serviceName"] = named("blue")
    assert json.loads(annotations[f"{ALB}/actions.{named('split')}"]) == action
    assert annotations[f"{ALB}/conditions.{named('split')}"] == "[no json"
    assert f"{ALB}/actions.split" not in annotations


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=3))
def test_annotations_nobody_knows_stay_what_they_are(annotations: dict[str, str]) -> None:
    made = ingress_annotations.to_host(
        annotations, "default", secret=lambda key: ("ns", key.name), service=lambda name: name
    )
    assert made == annotations


def test_a_class_the_host_chose_stays_until_the_user_chooses(worlds: Worlds) -> None:
    made = ingress(worlds, defaultBackend=backend("web"))
    host = on_host(worlds, INGRESSES)
    host["spec"]["ingressClassName"] = "the-default"
    assert worlds.settle(INGRESSES, WEB) == ()
    made["spec"]["ingressClassName"] = "nginx"
    assert on_host(worlds, INGRESSES)["spec"]["ingressClassName"] == "nginx"
    made["spec"]["defaultBackend"] = backend("other")
    assert on_host(worlds, INGRESSES)["spec"]["defaultBackend"] == backend(named("other"))


def test_the_addresses_of_an_ingress_come_back_and_go(worlds: Worlds) -> None:
    made = ingress(worlds, defaultBackend=backend("web"))
    made["status"] = {"loadBalancer": {}}
    host = on_host(worlds, INGRESSES)
    host["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    worlds.settle(INGRESSES, WEB)
    assert made["status"] == host["status"]
    host["status"] = {"loadBalancer": {}}
    worlds.settle(INGRESSES, WEB)
    assert made["status"] == {"loadBalancer": {}}


# Network policies


def policy(worlds: Worlds, **spec: Any) -> dict[str, Any]:
    worlds.put(NETWORK_POLICIES, *WEB, spec={"podSelector": {}, **spec})
    return on_host(worlds, NETWORK_POLICIES)["spec"]


OURS = {"vcluster-syncer/tenant": "vc-a1"}
HERE = {"key": "vcluster-syncer/namespace", "operator": "In", "values": ["default"]}


@pytest.mark.parametrize(
    ("peer", "wanted"),
    [
        ({"podSelector": {}}, {"matchLabels": OURS, "matchExpressions": [HERE]}),
        (
            {"podSelector": {"matchLabels": {"app": "db"}}},
            {"matchLabels": {"app": "db", **OURS}, "matchExpressions": [HERE]},
        ),
        ({"namespaceSelector": {}}, {"matchLabels": OURS}),
        (
            {"namespaceSelector": {"matchLabels": {"env": "prod"}}, "podSelector": {"matchLabels": {"env": "x"}}},
            {"matchLabels": {"env": "x", labels.namespace_key("env"): "prod", **OURS}},
        ),
        (
            {"namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "Exists"}]}},
            {
                "matchLabels": OURS,
                "matchExpressions": [{"key": labels.namespace_key("env"), "operator": "Exists"}],
            },
        ),
    ],
)
def test_peers_become_one_selector_of_host_pods(worlds: Worlds, peer: Any, wanted: Any) -> None:
    ports = [{"protocol": "TCP", "port": 80, "endPort": 90}]
    block = {"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.7/32"]}}
    spec = policy(
        worlds,
        policyTypes=["Ingress", "Egress"],
        ingress=[{"from": [peer, block], "ports": ports}],
        egress=[{"to": [peer]}, {"ports": ports}],
    )
    assert spec["ingress"] == [{"from": [{"podSelector": wanted}, block], "ports": ports}]
    assert spec["egress"] == [{"to": [{"podSelector": wanted}]}, {"ports": ports}]
    assert spec["podSelector"] == {"matchLabels": OURS, "matchExpressions": [HERE]}


def test_denying_everything_stays_so(worlds: Worlds) -> None:
    assert policy(worlds, policyTypes=["Ingress"])["policyTypes"] == ["Ingress"]
    worlds.here[NETWORK_POLICIES, WEB]["spec"]["ingress"] = [{}]
    assert on_host(worlds, NETWORK_POLICIES)["spec"]["ingress"] == [{}]
    del worlds.here[NETWORK_POLICIES, WEB]["spec"]["ingress"]
    assert "ingress" not in on_host(worlds, NETWORK_POLICIES)["spec"]


KEYS, VALUES = st.sampled_from(["app", "env", "vcluster-syncer/tenant"]), st.sampled_from(["a", "b", "vc-a1"])
LABELS = st.dictionaries(KEYS, VALUES, max_size=2)
EXPRESSIONS = st.one_of(
    st.fixed_dictionaries(
        {"key": KEYS, "operator": st.sampled_from(["In", "NotIn"]), "values": st.lists(VALUES, min_size=1, max_size=2)}
    ),
    st.fixed_dictionaries({"key": KEYS, "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)
SELECTORS = st.fixed_dictionaries(
    {}, optional={"matchLabels": LABELS, "matchExpressions": st.lists(EXPRESSIONS, max_size=2)}
)
PEERS = st.fixed_dictionaries({}, optional={"podSelector": SELECTORS, "namespaceSelector": SELECTORS}).filter(bool)
SPACES = st.dictionaries(st.sampled_from(["default", "one", "two"]), LABELS, min_size=1)


def selects(peer: Object, item: Object, here: str, spaces: dict[str, dict[str, str]]) -> bool:
    """What Kubernetes says of a peer in a policy of the namespace `here`."""
    space = item["metadata"]["namespace"]
    chooser = peer.get("namespaceSelector")
    chosen = space == here if chooser is None else labels.matches(chooser, spaces[space])
    return chosen and labels.matches(peer.get("podSelector") or {}, item["metadata"]["labels"])


def filled(name: str, spaces: dict[str, dict[str, str]], pods: Iterable[tuple[str, dict[str, str]]]) -> Worlds:
    worlds = Worlds(tenant(name), on=ON)
    for space, its in spaces.items():
        worlds.put(NAMESPACES, "", space, metadata={"labels": its})
    for number, (space, its) in enumerate(pods):
        if space in spaces:
            pod(worlds, f"p{number}", space, metadata={"labels": its})
            host_pod(worlds, f"p{number}", space)
    return worlds


@given(SPACES, st.lists(st.tuples(st.sampled_from(["default", "one", "two"]), LABELS), max_size=4), PEERS, SELECTORS)
def test_a_policy_selects_on_the_host_exactly_what_it_selects_in_the_virtual_cluster(
    spaces: dict[str, dict[str, str]], pods: list[tuple[str, dict[str, str]]], peer: Any, selector: Any
) -> None:
    ours, others = filled("vc-a1", {"default": {}, **spaces}, pods), filled("vc-b2", spaces, pods)
    spaces = {"default": {}, **spaces}
    virtual = {"metadata": {"name": "web", "namespace": "default", "uid": "u"}}
    virtual["spec"] = {"podSelector": selector, "ingress": [{"from": [peer]}]}
    spec = networkpolicies.to_host(WEB, virtual, tenant())["spec"]
    [there] = spec["ingress"][0]["from"]
    for key, item in ours.here.items():
        if key[0].kind != "Pod":
            continue
        host = ours.there[key[0], host_name("vc-a1", *key[1])]["metadata"]["labels"]
        assert labels.matches(there["podSelector"], host) == selects(peer, item, "default", spaces)
        isolated = labels.matches(spec["podSelector"], host)
        assert isolated == selects({"podSelector": selector}, item, "default", spaces)
    for (resource, _), item in others.there.items():
        if resource.kind == "Pod":
            assert not labels.matches(there["podSelector"], item["metadata"]["labels"])
            assert not labels.matches(spec["podSelector"], item["metadata"]["labels"])


# Disruption budgets


@pytest.mark.parametrize(
    ("spec", "status", "wanted"),
    [
        ({"minAvailable": 2}, {}, {"minAvailable": 2}),
        ({"minAvailable": 2}, {"desiredHealthy": 2, "observedGeneration": 1}, {"minAvailable": 2}),
        # Not counted yet, or of an older wish: better the user's own words than a wrong number.
        ({"maxUnavailable": 1}, {}, {"maxUnavailable": 1}),
        ({"minAvailable": "50%"}, {"desiredHealthy": 9, "observedGeneration": 0}, {"minAvailable": "50%"}),
        ({"maxUnavailable": 1}, {"desiredHealthy": 4, "observedGeneration": 1}, {"minAvailable": 4}),
        ({"minAvailable": "50%"}, {"desiredHealthy": 3, "observedGeneration": 1}, {"minAvailable": 3}),
    ],
)
def test_a_budget_is_the_number_of_pods_it_comes_to(worlds: Worlds, spec: Any, status: Any, wanted: Any) -> None:
    extra = {"selector": {"matchLabels": {"app": "db"}}, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    worlds.put(POD_DISRUPTION_BUDGETS, *WEB, spec={**spec, **extra}, status=status)
    assert on_host(worlds, POD_DISRUPTION_BUDGETS)["spec"] == {
        **wanted,
        "selector": {"matchLabels": {"app": "db", **OURS}, "matchExpressions": [HERE]},
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }


def test_a_budget_follows_the_count_and_keeps_the_virtual_status(worlds: Worlds) -> None:
    made = worlds.put(POD_DISRUPTION_BUDGETS, *WEB, spec={"maxUnavailable": 1, "selector": {}})
    assert on_host(worlds, POD_DISRUPTION_BUDGETS)["spec"]["maxUnavailable"] == 1
    status = made["status"] = {"desiredHealthy": 2, "observedGeneration": 1}
    host = on_host(worlds, POD_DISRUPTION_BUDGETS)
    assert host["spec"]["minAvailable"] == 2
    assert "maxUnavailable" not in host["spec"]
    host["status"] = {"desiredHealthy": 0}
    assert worlds.settle(POD_DISRUPTION_BUDGETS, WEB) == ()
    assert made["status"] is status


def test_a_budget_without_a_selector_is_about_no_pod() -> None:
    virtual = {"metadata": {"name": "web", "namespace": "default", "uid": "u"}, "spec": {"maxUnavailable": 1}}
    assert "selector" not in poddisruptionbudgets.to_host(WEB, virtual, tenant())["spec"]

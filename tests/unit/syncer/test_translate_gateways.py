"""The Gateway API on its way to the host, where the borders it draws between namespaces are gone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syncer_worlds import Worlds, tenant
from vcluster_syncer.model import (
    CONFIGMAPS,
    GATEWAY_CLASSES,
    GATEWAYS,
    GRPC_ROUTES,
    HTTP_ROUTES,
    NAMESPACES,
    REFERENCE_GRANTS,
    SECRETS,
    Key,
    Resource,
)
from vcluster_syncer.naming import host_name
from vcluster_syncer.translate import gateway_api, namespaces

ON = [f"to_host.{name}" for name in ("gateways", "http_routes", "grpc_routes", "reference_grants")]
ON += ["from_host.gateway_classes"]
GROUP = "gateway.networking.k8s.io"
EDGE, WEB = Key("default", "edge"), Key("default", "web")
HTTP = {"name": "http", "port": 80, "protocol": "HTTP"}
ROUTES = pytest.mark.parametrize("resource", [HTTP_ROUTES, GRPC_ROUTES], ids=lambda one: one.plural)


@pytest.fixture
def worlds() -> Worlds:
    return Worlds(on=ON)


def named(name: str, namespace: str = "default") -> str:
    return host_name("vc-a1", namespace, name)


def nowhere(name: str, namespace: str) -> str:
    return host_name("vc-a1", namespace, name, role="not-granted")


def on_host(worlds: Worlds, resource: Resource, key: Key) -> dict[str, Any]:
    worlds.settle(resource, key)
    return worlds.there[resource, host_name("vc-a1", *key)]


def gateway(worlds: Worlds, *listeners: dict[str, Any], key: Key = EDGE) -> dict[str, Any]:
    return worlds.put(GATEWAYS, *key, spec={"gatewayClassName": "shiny", "listeners": list(listeners) or [HTTP]})


def route(worlds: Worlds, resource: Resource = HTTP_ROUTES, key: Key = WEB, **spec: Any) -> dict[str, Any]:
    return worlds.put(resource, *key, spec={"parentRefs": [{"name": "edge"}], **spec})


def grant(worlds: Worlds, namespace: str, kind: str, to: dict[str, Any], group: str = GROUP) -> dict[str, Any]:
    giver = {"group": group, "kind": kind, "namespace": "default"}
    return worlds.put(REFERENCE_GRANTS, namespace, "grant", spec={"from": [giver], "to": [to]})


def test_a_gateway_has_the_tenants_certificates_and_its_class_as_it_is(worlds: Worlds) -> None:
    tls = {
        "certificateRefs": [{"kind": "Secret", "group": "", "name": "cert"}],
        "frontendValidation": {"caCertificateRefs": [{"kind": "ConfigMap", "group": "", "name": "ca"}]},
    }
    made = gateway(worlds, {**HTTP, "protocol": "HTTPS", "tls": tls})
    spec = on_host(worlds, GATEWAYS, EDGE)["spec"]
    assert spec["gatewayClassName"] == "shiny"
    there = spec["listeners"][0]["tls"]
    assert there["certificateRefs"] == [{"kind": "Secret", "group": "", "name": named("cert")}]
    assert there["frontendValidation"]["caCertificateRefs"][0]["name"] == named("ca")
    assert worlds.kinds[GATEWAYS].references(made) == {
        (SECRETS, Key("default", "cert")),
        (CONFIGMAPS, Key("default", "ca")),
    }
    worlds.put(SECRETS, "default", "cert", type="kubernetes.io/tls", data={})
    worlds.settle(SECRETS, Key("default", "cert"))
    assert worlds.host(SECRETS, Key("default", "cert")) is not None


@ROUTES
def test_a_route_leads_to_host_services_wherever_it_names_them(worlds: Worlds, resource: Resource) -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "copy", "port": 80}}}
    extension = {"type": "ExtensionRef", "extensionRef": {"group": "example.org", "kind": "Auth", "name": "a"}}
    backend = {"name": "web", "port": 80, "weight": 3, "filters": [extension]}
    route(worlds, resource, hostnames=["a.example.org"], rules=[{"backendRefs": [backend], "filters": [mirror]}])
    spec = on_host(worlds, resource, WEB)["spec"]
    assert spec["hostnames"] == ["a.example.org"]
    assert spec["parentRefs"] == [{"name": named("edge")}]
    [rule] = spec["rules"]
    filters = [{**extension, "extensionRef": {**extension["extensionRef"], "name": named("a")}}]  # type: ignore[dict-item]
    assert rule["backendRefs"] == [{"name": named("web"), "port": 80, "weight": 3, "filters": filters}]
    assert rule["filters"][0]["requestMirror"]["backendRef"] == {"name": named("copy"), "port": 80}


@pytest.mark.parametrize(
    ("kind", "to", "is_granted"),
    [
        ("HTTPRoute", {"group": "", "kind": "Service"}, True),
        ("HTTPRoute", {"group": "", "kind": "Service", "name": "db"}, True),
        ("HTTPRoute", {"group": "", "kind": "Service", "name": "other"}, False),
        ("HTTPRoute", {"group": "", "kind": "Secret"}, False),
        ("GRPCRoute", {"group": "", "kind": "Service"}, False),
    ],
)
def test_a_backend_of_another_namespace_must_be_granted(
    worlds: Worlds, kind: str, to: dict[str, Any], is_granted: bool
) -> None:
    route(worlds, rules=[{"backendRefs": [{"name": "db", "namespace": "team", "port": 80}]}])

    def leads_to() -> Any:
        return on_host(worlds, HTTP_ROUTES, WEB)["spec"]["rules"][0]["backendRefs"]

    assert leads_to() == [{"name": nowhere("db", "team"), "port": 80}]
    given_ = grant(worlds, "team", kind, to)
    assert (HTTP_ROUTES, WEB) in set(worlds.kinds[REFERENCE_GRANTS].wakes(given_, worlds))
    wanted = named("db", "team") if is_granted else nowhere("db", "team")
    assert leads_to() == [{"name": wanted, "port": 80}]
    del worlds.here[REFERENCE_GRANTS, Key("team", "grant")]
    assert leads_to() == [{"name": nowhere("db", "team"), "port": 80}]


def test_a_grant_from_one_namespace_is_none_from_another(worlds: Worlds) -> None:
    key = Key("third", "web")
    route(worlds, key=key, parentRefs=[], rules=[{"backendRefs": [{"name": "db", "namespace": "team"}]}])
    grant(worlds, "team", "HTTPRoute", {"group": "", "kind": "Service"})
    backends = on_host(worlds, HTTP_ROUTES, key)["spec"]["rules"][0]["backendRefs"]
    assert backends == [{"name": nowhere("db", "team")}]


@pytest.mark.parametrize(
    ("allowed", "section", "is_admitted"),
    [
        (None, None, False),
        ({"namespaces": {"from": "Same"}}, None, False),
        ({"namespaces": {"from": "All"}}, None, True),
        ({"namespaces": {"from": "All"}}, "http", True),
        ({"namespaces": {"from": "All"}}, "https", False),
        ({"namespaces": {"from": "Selector", "selector": {"matchLabels": {"env": "prod"}}}}, None, True),
        ({"namespaces": {"from": "Selector", "selector": {"matchLabels": {"env": "test"}}}}, None, False),
        ({"namespaces": {"from": "None"}}, None, False),
    ],
)
def test_a_route_is_attached_to_a_gateway_of_another_namespace_only_if_that_admits_it(
    worlds: Worlds, allowed: Any, section: str | None, is_admitted: bool
) -> None:
    space = worlds.put(NAMESPACES, "", "team", metadata={"labels": {"env": "prod"}})
    gateway(worlds, {**HTTP, **({"allowedRoutes": allowed} if allowed else {})})
    parent = {"name": "edge", "namespace": "default", **({"sectionName": section} if section else {})}
    key = Key("team", "web")
    made = route(worlds, key=key, parentRefs=[parent])
    wanted = {"name": named("edge"), **({"sectionName": section} if section else {})}
    spec = on_host(worlds, HTTP_ROUTES, key)["spec"]
    assert spec.get("parentRefs", []) == ([wanted] if is_admitted else [])
    # Both what admits it and what it is admitted by bring it back to be looked at.
    assert (GATEWAYS, EDGE) in worlds.kinds[HTTP_ROUTES].references(made)
    assert (HTTP_ROUTES, key) in set(namespaces.KIND.wakes(space, worlds))
    for listener in on_host(worlds, GATEWAYS, EDGE)["spec"]["listeners"]:
        # All of the tenant's routes are in that namespace, and nobody else's.
        assert listener.get("allowedRoutes", {}).get("namespaces", {}).get("from", "Same") == "Same"


def test_what_the_gateways_say_of_a_route_comes_back_in_its_own_words(worlds: Worlds) -> None:
    made = route(worlds, parentRefs=[{"name": "edge", "sectionName": "http"}, {"name": "inner"}])
    host = on_host(worlds, HTTP_ROUTES, WEB)
    condition = {"type": "Accepted", "status": "False", "message": f"no service {host['metadata']['name']}"}

    def told(parent: dict[str, Any]) -> dict[str, Any]:
        whole = {"group": GROUP, "kind": "Gateway", "namespace": "vc-a1-ns", **parent}
        return {"parentRef": whole, "controllerName": "c", "conditions": [condition]}

    foreign = told({"name": "somebody-elses"})
    parents = [told({"name": named("edge"), "sectionName": "http"}), told({"name": named("inner")}), foreign]
    host["status"] = {"parents": parents}
    worlds.settle(HTTP_ROUTES, WEB)
    first, second = made["status"]["parents"]
    assert first["parentRef"] == {"name": "edge", "sectionName": "http"}
    assert second["parentRef"] == {"name": "inner"}
    assert first["conditions"][0]["message"] == "no service web"
    host["status"] = {"parents": []}
    worlds.settle(HTTP_ROUTES, WEB)
    assert made["status"]["parents"] == []


def test_the_status_of_a_gateway_comes_back(worlds: Worlds) -> None:
    made = gateway(worlds)
    host = on_host(worlds, GATEWAYS, EDGE)
    message = f"{host['metadata']['namespace']}/{host['metadata']['name']} is programmed"
    conditions = [{"type": "Programmed", "status": "True", "message": message}]
    host["status"] = {"addresses": [{"value": "192.0.2.7"}], "conditions": conditions, "listeners": []}
    worlds.settle(GATEWAYS, EDGE)
    assert made["status"]["addresses"] == [{"value": "192.0.2.7"}]
    assert made["status"]["conditions"][0]["message"] == "default/edge is programmed"
    assert worlds.settle(GATEWAYS, EDGE) == ()


def test_a_gateway_class_is_the_hosts_with_its_status(worlds: Worlds) -> None:
    spec = {"controllerName": "example.org/c"}
    host = worlds.put_host(GATEWAY_CLASSES, "shiny", spec=spec, status={"conditions": [{"type": "Accepted"}]})
    key = Key("", "shiny")
    worlds.settle(GATEWAY_CLASSES, key)
    made = worlds.here[GATEWAY_CLASSES, key]
    assert (made["spec"], made["status"]) == (spec, host["status"])
    mine = worlds.put(GATEWAY_CLASSES, "", "mine", spec=spec)
    worlds.put_host(GATEWAY_CLASSES, "mine", spec=spec, status={"conditions": [1]})
    assert worlds.settle(GATEWAY_CLASSES, Key("", "mine")) == ()
    assert "status" not in mine


def test_a_grant_is_carried_with_names_of_the_host(worlds: Worlds) -> None:
    made = grant(worlds, "team", "HTTPRoute", {"group": "", "kind": "Service", "name": "db"})
    made["spec"]["to"].append({"group": "", "kind": "Secret"})
    assert on_host(worlds, REFERENCE_GRANTS, Key("team", "grant"))["spec"] == {
        "from": [{"group": GROUP, "kind": "HTTPRoute", "namespace": "vc-a1-ns"}],
        "to": [
            {"group": "", "kind": "Service", "name": named("db", "team")},
            {"group": "", "kind": "Secret"},
        ],
    }


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}[a-z0-9]", fullmatch=True)
REFERENCES = st.fixed_dictionaries({"name": NAMES}, optional={"namespace": NAMES, "port": st.integers(1, 9)})
COPIES = st.fixed_dictionaries({"requestMirror": st.fixed_dictionaries({"backendRef": REFERENCES})})
RULES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "backendRefs": st.lists(REFERENCES, max_size=2),
            "filters": st.lists(
                st.fixed_dictionaries({"requestMirror": st.fixed_dictionaries({"backendRef": REFERENCES})})
            ),
        },
    ),
    max_size=3,
)


def names_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["name"]] if isinstance(value.get("name"), str) else []
        return own + [name for inside in value.values() for name in names_in(inside)]
    return [name for inside in value for name in names_in(inside)] if isinstance(value, list) else []


@given(RULES)
def test_no_name_of_the_virtual_cluster_reaches_the_host_and_none_of_another_tenant(rules: list[Any]) -> None:
    spec = {"rules": rules}
    made = {}
    for name in ("vc-a1", "vc-b2"):
        worlds = Worlds(tenant(name), on=ON)
        made[name] = gateway_api.spec_to_host(spec, gateway_api.Naming(HTTP_ROUTES, "default"), worlds)
    ours, others = set(names_in(made["vc-a1"])), set(names_in(made["vc-b2"]))
    assert not ours & others
    assert not ours & set(names_in(spec))
    assert len(names_in(made["vc-a1"])) == len(names_in(spec))
    assert "namespace" not in str(made)

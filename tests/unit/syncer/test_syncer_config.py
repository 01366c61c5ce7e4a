import json
from pathlib import Path

import pytest
from vcluster_syncer.config import load, parse_config, parse_tenant
from vcluster_syncer.fields import ConfigError
from vcluster_syncer.isolation import Terms
from vcluster_syncer.model import NODE_METRICS, POD_METRICS, FakeNode

CONFIG = {"host": {"kubeconfig": "/k"}, "admin": {"unix": "/s"}, "patrol_seconds": 60, "log_level": "debug"}
TENANT = {
    "name": "vc-1",
    "virtual": {"kubeconfig": "/v"},
    "host_namespace": "ns",
    "nodes": {"mode": "private", "label": "l", "value": "v"},
    "cluster_domain": "example.local",
    "kubernetes_service_ip": "10.0.0.1",
    "dns_service_ip": None,
}


METRICS = {
    "pods": True,
    "authority": "/a",
    "endpoint": {
        "address": "127.0.0.1",
        "port": 10251,
        "certificate": "/c",
        "key": "/k",
        "client_authority": "/front-proxy",
    },
}


def tenant(**changes):
    return parse_tenant(json.dumps({**TENANT, **changes}).encode())


def test_a_configuration_is_read():
    config = parse_config(CONFIG, source="f")
    assert (config.host_kubeconfig, config.admin_socket) == (Path("/k"), Path("/s"))
    assert (config.patrol_seconds, config.log_level, config.host_namespace) == (60.0, "debug", "")


def test_switches_are_read_by_their_place():
    sync = {"to_host": {"ingresses": True}, "from_host": {"events": False}}
    config = parse_config({**CONFIG, "sync": sync}, source="f")
    assert config.switches == {"to_host.ingresses": True, "from_host.events": False}
    assert parse_config(CONFIG, source="f").switches == {}


def test_what_is_left_out_has_a_default():
    config = parse_config({"host": {"kubeconfig": "/k", "namespace": "n"}, "admin": {"unix": "/s"}}, source="f")
    assert (config.patrol_seconds, config.log_level, config.host_namespace) == (120.0, "info", "n")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"host": None}, "f: host must be an object, it is None"),
        ({"host": {}}, "f.host: kubeconfig is missing"),
        ({"admin": {"unix": 5}}, "f.admin: unix must be str, it is 5"),
        ({"patrol_seconds": 0}, "patrol_seconds must be more than 0"),
        ({"patrol_seconds": True}, "patrol_seconds must be int or float, it is True"),
        ({"log_level": "loud"}, "log_level must be one of debug, info, warning, error"),
        ({"sync": {"to_host": {"ingresses": "yes"}}}, "f.sync.to_host: ingresses must be true or false, it is 'yes'"),
        ({"sync": {"to_hosts": {}}}, "f.sync: unknown to_hosts; known are to_host, from_host"),
        (
            {"host": {"kubeconfig": "/k", "namespace": "n"}, "sync": {"to_host": {"namespaces": True}}},
            "host.namespace can't be the only one where sync.to_host.namespaces makes others",
        ),
        ({"patrol": 5}, "f: unknown patrol; known are"),
        ({"host": {"kubeconfig": "/k", "contxt": "c"}}, "f.host: unknown contxt"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_told_by_field(changes, error):
    with pytest.raises(ConfigError, match=error):
        parse_config({**CONFIG, **changes}, source="f")


def test_a_file_that_is_no_configuration_is_told(tmp_path):
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        load(tmp_path / "none")
    (tmp_path / "f").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        load(tmp_path / "f")
    (tmp_path / "f").write_text("[]")
    with pytest.raises(ConfigError, match="must be a JSON object"):
        load(tmp_path / "f")


def test_a_tenant_is_read():
    config = tenant()
    assert config.kubeconfig == Path("/v")
    assert (config.tenant.name, config.tenant.host_namespace) == ("vc-1", "ns")
    assert (config.tenant.private_nodes, config.tenant.node_label, config.tenant.node_label_value) == (True, "l", "v")
    assert (config.tenant.cluster_domain, config.tenant.dns_service_ip) == ("example.local", None)


def test_a_tenant_may_share_nodes():
    assert not tenant(nodes={"mode": "shared"}).tenant.private_nodes


def test_nodes_of_a_tenant_may_be_made_up():
    assert tenant().tenant.fake_node is None
    made = tenant(nodes={"mode": "fake"}).tenant
    assert (made.private_nodes, made.fake_node) == (False, FakeNode())


def test_what_a_lease_leaves_may_be_removed_in_the_background():
    assert not tenant(drain="wait").tenant.drains_in_background
    assert not tenant().tenant.drains_in_background
    assert tenant(drain="background").tenant.drains_in_background


def test_the_terms_of_a_tenant_are_read():
    assert tenant().terms == Terms()
    isolation = {
        "quota": {"pods": 20},
        "limits": {"default": {"cpu": "1"}, "default_request": {"cpu": "100m"}},
        "pod_security": "baseline",
        "network_policy": True,
    }
    assert tenant(isolation=isolation, reserve={"cpu": "2"}).terms == Terms(
        reserve={"cpu": "2"},
        quota={"pods": "20"},
        limits={"cpu": "1"},
        requests={"cpu": "100m"},
        pod_security="baseline",
        network_policy=True,
    )


def test_a_tenant_may_have_a_host_namespace_for_each_of_its_own():
    assert not tenant().tenant.each_namespace
    config = tenant(namespaces={"mode": "each", "pattern": "team-{namespace}"})
    assert (config.tenant.each_namespace, config.tenant.namespace_pattern) == (True, "team-{namespace}")


def test_what_of_the_host_a_tenant_is_shown():
    assert tenant().tenant.imports == ()
    shown = {"configmaps": {"shared/*": "default/*", "a/b": "default/c"}, "secrets": {"a/b": "default/c"}}
    made = tenant(from_host=shown).tenant.imports
    assert [(one.resource.plural, one.from_namespace, one.from_name, one.to_name) for one in made] == [
        ("configmaps", "a", "b", "c"),
        ("secrets", "a", "b", "c"),
        ("configmaps", "shared", "*", "*"),
    ]


def test_which_services_of_a_tenant_are_on_the_host_by_name():
    assert tenant().tenant.exports == ()
    made = tenant(to_host={"services": {"default/web": "tenant-web"}}).tenant.exports
    assert [(one.key, one.name) for one in made] == [(("default", "web"), "tenant-web")]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"isolation": {"pod_security": "high"}}, "pod_security must be one of privileged, baseline, restricted"),
        ({"isolation": {"quota": {"cpu": "much"}}}, "tenant.isolation.quota: cpu: 'much' is no quantity"),
        ({"isolation": {"limits": {"max": {}}}}, "tenant.isolation.limits: unknown max"),
        ({"isolation": {"network_policy": 1}}, "network_policy must be true or false, it is 1"),
        ({"isolation": {"quotas": {}}}, "tenant.isolation: unknown quotas"),
        ({"reserve": {"cpu": None}}, "tenant.reserve: cpu: 'None' is no quantity"),
        (
            {"isolation": {"network_policy": True}, "namespaces": {"mode": "each"}},
            "it bounds one host namespace, and tenant.namespaces mode each has many",
        ),
        ({"namespaces": {"mode": "many"}}, "mode must be single or each, it is 'many'"),
        ({"namespaces": {"pattern": "{name}"}}, "pattern may have {tenant}, {namespace}, small letters"),
        ({"namespaces": {"patern": "x"}}, "tenant.namespaces: unknown patern"),
        ({"name": ""}, "tenant: name is missing"),
        ({"from_host": {"pods": {}}}, "tenant.from_host: unknown pods; known are configmaps, secrets"),
        ({"from_host": {"secrets": {"a/b": 5}}}, "tenant.from_host.secrets: a/b must be text, it is 5"),
        ({"from_host": {"secrets": {"a": "b/c"}}}, "'a': 'b/c' must be NAMESPACE/NAME on the host"),
        ({"from_host": {"secrets": {"a/b": "c/d/e"}}}, "must be NAMESPACE/NAME on the host"),
        ({"from_host": {"secrets": {"a/*": "b/c"}}}, "stands for all names, on both sides"),
        ({"from_host": {"secrets": {"*/a": "b/c"}}}, "stands for all names"),
        ({"from_host": {"configmaps": {"a/b": "c/d", "e/f": "c/d"}}}, "'c/d' is there twice"),
        ({"from_host": {"services": {"a/b": "default/kubernetes"}}}, "is the virtual API server's own"),
        ({"to_host": {"pods": {}}}, "tenant.to_host: unknown pods; known are services"),
        ({"to_host": {"services": {"web": "web"}}}, "must be NAMESPACE/NAME in the virtual cluster"),
        ({"to_host": {"services": {"a/b": "c/d"}}}, "must be NAMESPACE/NAME in the virtual cluster"),
        ({"to_host": {"services": {"a/b": "x", "c/d": "x"}}}, "'x' is there twice"),
        ({"to_host": {"services": {"default/kubernetes": "x"}}}, "is on the host already"),
        (
            {"to_host": {"services": {"a/b": "x"}}, "namespaces": {"mode": "each"}},
            "it names Services of one host namespace, and mode each has many",
        ),
        ({"virtual": {}}, "tenant.virtual: kubeconfig is missing"),
        ({"nodes": {"mode": "borrowed"}}, "mode must be private, shared or fake, it is 'borrowed'"),
        ({"drain": "later"}, "tenant: drain must be wait or background, it is 'later'"),
        ({"dns_service_ip": 5}, "dns_service_ip must be str or null"),
        ({"metrics": {}}, "tenant.metrics: pods or nodes must be true; leave tenant.metrics out for neither"),
        ({"metrics": {"pods": "yes"}}, "tenant.metrics: pods must be true or false, it is 'yes'"),
        ({"metrics": {"pods": True}}, "tenant.metrics: endpoint must be an object"),
        ({"metrics": {**METRICS, "authority": ""}}, "tenant.metrics: authority is missing"),
        ({"metrics": {**METRICS, "hosts": 1}}, "tenant.metrics: unknown hosts"),
        ({"color": "red"}, "unknown color"),
    ],
)
def test_what_is_wrong_with_a_tenant_is_told_by_field(changes, error):
    with pytest.raises(ConfigError, match=error):
        tenant(**changes)


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({}, (POD_METRICS,)),
        ({"nodes": True}, (POD_METRICS, NODE_METRICS)),
        ({"pods": False, "nodes": True}, (NODE_METRICS,)),
    ],
)
def test_which_figures_are_told_is_chosen(chosen, told):
    metrics = tenant(metrics={**METRICS, **chosen}).metrics
    assert metrics.told == told
    assert (metrics.authority, metrics.endpoint.client_authority) == (Path("/a"), Path("/front-proxy"))


def test_by_default_none_are():
    assert tenant().metrics is None
    assert tenant(metrics=None).metrics is None

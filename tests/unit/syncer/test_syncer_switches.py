"""Which kinds run under which configuration, and which rights on the host they ask for."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from vcluster_syncer.__main__ import main
from vcluster_syncer.fields import ConfigError
from vcluster_syncer.model import PODS, Action, Key, Kind, Object, Resource, Rule, Switch, Tenant, World
from vcluster_syncer.switches import host_rules, refuse_unfit, selected
from vcluster_syncer.translate import KINDS

CARRY = ("create", "delete", "get", "list", "patch", "watch")
READ = ("list", "watch")


def nothing(_key: Key, _virtual: Object | None, _host: Object | None, _world: World) -> Sequence[Action]:
    return ()


def nobody(_host: Object, _tenant: Tenant) -> Key | None:
    return None


THING = Resource("example.com", "v1", "things", "Thing", namespaced=False)
ALWAYS = Kind(resource=PODS, reconcile=nothing, host_key=nobody, host_rules=(Rule.to_carry(PODS),))
UP = Kind(
    resource=THING,
    reconcile=nothing,
    host_key=nobody,
    switch=Switch("to_host", "things"),
    host_rules=(Rule.to_carry(THING),),
)
DOWN = replace(UP, switch=Switch("from_host", "things", on=True), host_rules=(Rule.to_read(THING),))


def test_a_switch_turns_its_kind_on_and_off_and_has_a_default():
    assert selected((ALWAYS, UP), {}) == (ALWAYS,)
    assert selected((ALWAYS, UP), {"to_host.things": True}) == (ALWAYS, UP)
    assert selected((ALWAYS, DOWN), {}) == (ALWAYS, DOWN)
    assert selected((ALWAYS, DOWN), {"from_host.things": False}) == (ALWAYS,)


def test_a_kind_goes_one_way_only():
    assert selected((UP, DOWN), {"to_host.things": True, "from_host.things": False}) == (UP,)
    with pytest.raises(ConfigError, match="to_host.things and from_host.things can't both be on, things go one way"):
        selected((UP, DOWN), {"to_host.things": True})


def test_a_misspelt_switch_is_an_error_that_names_the_known_ones():
    with pytest.raises(ConfigError, match="unknown to_host.thing; known are from_host.things, to_host.things"):
        selected((UP, DOWN), {"to_host.thing": True})


def test_rules_are_merged_and_each_resource_is_named_once():
    other = replace(UP, host_rules=(Rule("example.com", ("things",), ("deletecollection",), True),))
    assert host_rules((ALWAYS, DOWN)) == (
        Rule("", ("pods",), CARRY),
        Rule("example.com", ("things",), READ, cluster_scoped=True),
    )
    assert host_rules((DOWN, other)) == (
        Rule("example.com", ("things",), ("deletecollection", *READ), cluster_scoped=True),
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.resource.plural}")
def test_every_kind_asks_for_the_right_to_watch_what_it_watches(kind: Kind) -> None:
    granted = {(rule.group, name): set(rule.verbs) for rule in host_rules([kind]) for name in rule.resources}
    for resource in (*((kind.resource,) if kind.watch_host else ()), *kind.companions):
        assert granted[resource.group, resource.plural] >= set(READ)


def test_who_makes_namespaces_has_his_rights_in_all_of_them():
    rules = host_rules(selected(KINDS, {"to_host.namespaces": True}))
    assert all(rule.cluster_scoped for rule in rules)
    assert Rule("", ("namespaces",), CARRY, cluster_scoped=True) in [
        replace(rule, resources=(name,)) for rule in rules for name in rule.resources
    ]


def test_a_tenant_that_asks_for_what_is_off_is_refused():
    spread = Tenant(name="t", host_namespace="t", kubernetes_service_ip="10.0.0.1", each_namespace=True)
    with pytest.raises(ConfigError, match=r"turn on sync\.to_host\.namespaces"):
        refuse_unfit(spread, selected(KINDS, {}))
    refuse_unfit(replace(spread, each_namespace=False), selected(KINDS, {}))
    on = {"to_host.namespaces": True}
    refuse_unfit(spread, selected(KINDS, on))
    [path] = [
        kind.switch.path
        for kind in KINDS
        if kind.one_namespace and kind.switch is not None and kind.switch.direction == "from_host"
    ]
    with pytest.raises(ConfigError, match=f"mode each and sync.{path} don't go together"):
        refuse_unfit(spread, selected(KINDS, {**on, path: True}))


def test_the_command_line_tells_the_rights_a_configuration_needs(tmp_path, capsys):
    path = tmp_path / "syncer.json"
    sync = {"to_host": {"ingresses": True}, "from_host": {"events": False}}
    path.write_text(json.dumps({"host": {"kubeconfig": "/k"}, "admin": {"unix": "/s"}, "sync": sync}))
    assert main(["--config", str(path), "--host-rules"]) == 0
    told = json.loads(capsys.readouterr().out)
    wanted = {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": list(CARRY)}
    assert wanted in told["role"]
    assert not [rule for rule in told["role"] if "events" in rule["resources"]]
    assert {"apiGroups": [""], "resources": ["nodes"], "verbs": list(READ)} in told["clusterRole"]
    path.write_text(path.read_text().replace("ingresses", "ingress"))
    assert main(["--config", str(path), "--host-rules"]) == 2
    assert "unknown to_host.ingress; known are" in capsys.readouterr().err


def test_no_two_switches_have_one_name():
    paths = [kind.switch.path for kind in KINDS if kind.switch is not None]
    assert len(set(paths)) == len(paths)


def test_rights_on_the_host_of_the_default_configuration():
    """What is added here is asked of every user's cluster: a default must be worth it."""
    assert host_rules(selected(KINDS, {})) == (
        Rule("", ("configmaps", "persistentvolumeclaims", "pods", "secrets", "services"), CARRY),
        Rule("", ("events",), READ),
        Rule("", ("pods/attach", "pods/exec", "pods/portforward"), ("create", "get")),
        Rule("", ("pods/ephemeralcontainers", "pods/resize", "pods/status"), ("patch",)),
        Rule("", ("pods/log",), ("get",)),
        Rule("discovery.k8s.io", ("endpointslices",), CARRY),
        Rule("", ("nodes",), READ, cluster_scoped=True),
    )

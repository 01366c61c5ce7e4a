"""The rights that the chart grants are those that its syncer needs, for whatever is turned on, and no others."""

from __future__ import annotations

import itertools
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_cases import NAME, NAMESPACE, PLUGIN, flat, helm, one, rendered, rights
from vcluster_syncer.config import parse_description
from vcluster_syncer.switches import as_rbac, host_rules, selected
from vcluster_syncer.translate import KINDS

from pytest_vcluster.hosts.chart import chart_folder
from pytest_vcluster.hosts.in_cluster import existing

NODES = "from_host.nodes"
"""Follows from the mode of the nodes."""
SWITCHES = sorted(kind.switch.path for kind in KINDS if kind.switch is not None and kind.switch.path != NODES)
DEFAULTS = {kind.switch.path: kind.switch.on for kind in KINDS if kind.switch is not None and kind.switch.path != NODES}
OPPOSITES = [
    {"to_host.priority_classes", "from_host.priority_classes"},
    {"to_host.persistent_volumes", "from_host.persistent_volumes"},
]


def values_of(chosen: dict[str, bool], nodes: str) -> dict[str, Any]:
    made: dict[str, Any] = {"nodes": {"mode": nodes}, "sync": {"toHost": {}, "fromHost": {}}}
    for path, on in chosen.items():
        direction, name = path.split(".")
        first, *rest = name.split("_")
        part = {"to_host": "toHost", "from_host": "fromHost"}[direction]
        made["sync"][part][first + "".join(word.capitalize() for word in rest)] = on
    return made


def needed(chosen: dict[str, bool], nodes: str) -> set[Any]:
    rbac = as_rbac(host_rules(selected(KINDS, {**chosen, NODES: nodes == "shared"})))
    return flat(rbac["role"], "Role") | flat(rbac["clusterRole"], "ClusterRole")


def combinations() -> list[tuple[dict[str, bool], str]]:
    """Each switch alone, all pairs of the ones that widen, everything, nothing."""
    single = [{path: not DEFAULTS[path]} for path in SWITCHES]
    wide = [path for path in SWITCHES if not DEFAULTS[path]]
    pairs = [
        {first: True, second: True}
        for first, second in itertools.combinations(wide, 2)
        if {first, second} not in OPPOSITES and "to_host.namespaces" in (first, second)
    ]
    most = dict.fromkeys(SWITCHES, True) | {"from_host.priority_classes": False, "from_host.persistent_volumes": False}
    return [
        *(({}, nodes) for nodes in ("fake", "shared")),
        *((each, "fake") for each in single),
        *((each, "shared") for each in pairs),
        (most, "shared"),
        ({**most, "to_host.namespaces": False}, "shared"),
        (dict.fromkeys(SWITCHES, False), "fake"),
    ]


@pytest.mark.parametrize(
    ("chosen", "nodes"),
    combinations(),
    ids=lambda value: (
        value if isinstance(value, str) else "+".join(value) if len(value) < 3 else f"{sum(value.values())} on"
    ),
)
def test_the_chart_grants_exactly_what_its_syncer_needs(chosen, nodes):
    assert rights(rendered({"certificates": {"secret": "pki"}, **values_of(chosen, nodes)})) == needed(chosen, nodes)


POD_FIGURES = {("Role", "metrics.k8s.io", "pods", verb, ()) for verb in ("get", "list")}
NODE_FIGURES = {("ClusterRole", "metrics.k8s.io", "nodes", verb, ()) for verb in ("get", "list")}


@pytest.mark.parametrize(
    ("metrics", "added"),
    [
        ({"pods": True}, POD_FIGURES),
        ({"nodes": True}, NODE_FIGURES),
        ({"pods": True, "nodes": True}, POD_FIGURES | NODE_FIGURES),
        ({"pods": False, "nodes": False}, set()),
    ],
)
def test_figures_are_a_right_of_their_own(tmp_path, metrics, added):
    objects = rendered({"metrics": metrics})
    assert rights(objects) - rights(rendered()) == added
    path = tmp_path / "syncer.json"
    path.write_text(one(objects, "ConfigMap", f"{NAME}-syncer")["data"]["syncer.json"])
    assert {(*rule, ()) for *rule, _ in rights(objects)} == printed_rules(path)


def test_where_every_namespace_has_its_own_figures_are_read_in_all():
    everywhere = {("ClusterRole", *rest) for _, *rest in POD_FIGURES}
    assert everywhere <= rights(rendered({"metrics": {"pods": True}, "sync": {"toHost": {"namespaces": True}}}))


def test_by_default_nothing_is_granted_outside_the_namespace():
    assert {scope for scope, *_ in rights(rendered())} == {"Role"}


def test_only_the_one_heartbeat_may_be_read_and_deleted():
    with_heartbeat, without = rights(rendered(PLUGIN)), rights(rendered())
    lease = ("Role", "coordination.k8s.io", "leases")
    assert with_heartbeat - without == {(*lease, verb, ("run-77",)) for verb in ("delete", "get")}


def test_the_rights_are_bound_to_the_pods_own_account_and_to_nobody_else():
    objects = rendered({"nodes": {"mode": "shared"}})
    scoped = f"vcluster:{NAMESPACE}:{NAME}"
    bindings = [one(objects, "RoleBinding"), one(objects, "ClusterRoleBinding", scoped)]
    for binding in bindings:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}]
    assert [binding["roleRef"]["name"] for binding in bindings] == [NAME, scoped]
    assert one(objects, "StatefulSet")["spec"]["template"]["spec"]["serviceAccountName"] == NAME


def test_what_is_imported_is_read_where_it_is_and_nothing_else_there():
    objects = rendered(
        {
            "imports": {"services": {"shared/db": "default/db"}, "configMaps": {"shared/*": "default/*", "a/b": "c/d"}},
            "exports": {"services": {"default/web": "tenant-web"}},
        }
    )
    scoped = f"vcluster:{NAMESPACE}:{NAME}"
    roles = {each["metadata"]["namespace"]: each for each in objects if each["kind"] == "Role"}
    read = {
        namespace: {(group, resource) for _, group, resource, *_ in flat(role["rules"], "Role")}
        for namespace, role in roles.items()
        if role["metadata"]["name"] == scoped
    }
    slices = ("discovery.k8s.io", "endpointslices")
    assert read == {"shared": {("", "services"), slices, ("", "configmaps")}, "a": {("", "configmaps")}}
    for namespace in read:
        assert {verb for *_, verb, _ in flat(roles[namespace]["rules"], "Role")} == {"list", "watch"}
    bound = [each for each in objects if each["kind"] == "RoleBinding" and each["metadata"]["name"] == scoped]
    assert {each["metadata"]["namespace"] for each in bound} == {"shared", "a"}
    for binding in bound:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}]
    tenant = json.loads(one(objects, "ConfigMap", f"{NAME}-syncer")["data"]["syncer.json"])["pod"]["tenant"]
    # What only the pod knows is not there.
    read_back = parse_description({**tenant, "host_namespace": NAMESPACE, "recycle": None}).tenant
    assert {each.from_namespace for each in read_back.imports} == {"shared", "a"}
    assert [each.name for each in read_back.exports] == ["tenant-web"]


def test_the_file_of_rights_is_made_from_the_syncers_kinds():
    made = runpy.run_path(str(Path(__file__).parents[2] / "charts" / "rights.py"))
    assert (chart_folder() / "files" / "rights.yaml").read_text() == made["text"](), "run `make rights`"


def test_switches_of_the_chart_are_those_of_the_syncer():
    sync = yaml.safe_load((chart_folder() / "values.yaml").read_text())["sync"]
    assert sync == values_of(DEFAULTS, "fake")["sync"]


@pytest.mark.parametrize("nodes", ["fake", "shared"])
def test_the_chart_grants_what_its_own_configuration_makes_the_syncer_ask_for(tmp_path, nodes):
    objects = rendered({**PLUGIN, **values_of({"to_host.ingresses": True}, nodes)})
    path = tmp_path / "syncer.json"
    path.write_text(one(objects, "ConfigMap", f"{NAME}-syncer")["data"]["syncer.json"])
    granted = {(*rule, ()) for *rule, _ in rights(objects)}
    # The chart knows the one Lease by name; the syncer's rules are of whole resources.
    assert ("Role", "coordination.k8s.io", "leases", "get", ("run-77",)) in rights(objects)
    assert granted == printed_rules(path)


def printed_rules(config):
    run = subprocess.run(
        [sys.executable, "-m", "vcluster_syncer", "--config", config, "--host-rules"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    printed = json.loads(run.stdout)
    return flat(printed["role"], "Role") | flat(printed["clusterRole"], "ClusterRole")


def test_what_the_syncer_prints_is_what_it_was_compared_with(tmp_path):
    config = {"host": {"kubeconfig": "x"}, "admin": {"unix": "x"}, "sync": {"to_host": {"ingresses": True}}}
    path = tmp_path / "syncer.json"
    path.write_text(json.dumps(config))
    assert printed_rules(path) == needed({"to_host.ingresses": True}, "shared")


def test_a_run_that_shares_more_asks_its_host_for_more():
    usual = set(existing.needed("v1.36.4", helm(), "syncer", NAMESPACE))
    switches = ("to_host.ingresses", "from_host.ingress_classes")
    more = {str(right) for right in set(existing.needed("v1.36.4", helm(), "syncer", NAMESPACE, switches)) - usual}
    assert any("create ingresses.networking.k8s.io" in right for right in more), more
    assert any("list ingressclasses.networking.k8s.io" in right for right in more), more

"""What the host shows to a virtual cluster, what of it is carried there, and what pods name of both."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syncer_worlds import Worlds, host_pod, pod, tenant
from vcluster_syncer.model import (
    INGRESS_CLASSES,
    NAMESPACES,
    PODS,
    PRIORITY_CLASSES,
    RUNTIME_CLASSES,
    SERVICE_ACCOUNTS,
    DeleteVirtual,
    Key,
    Resource,
)
from vcluster_syncer.naming import host_name
from vcluster_syncer.translate import mirror, namespaces, priorityclasses

UP, DOWN = "to_host.priority_classes", "from_host.priority_classes"
MIRRORED: list[tuple[str, Resource, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (
        "from_host.ingress_classes",
        INGRESS_CLASSES,
        {"spec": {"controller": "example.org/one"}},
        {"spec": {"controller": "example.org/one", "parameters": {"kind": "P", "name": "p"}}},
        {"spec": {"controller": "example.org/two"}},
    ),
    (
        "from_host.runtime_classes",
        RUNTIME_CLASSES,
        {"handler": "gvisor"},
        {"handler": "gvisor", "overhead": {"podFixed": {"cpu": "10m"}}},
        {"handler": "kata"},
    ),
    (
        DOWN,
        PRIORITY_CLASSES,
        {"value": 10, "preemptionPolicy": "Never"},
        {"value": 10, "preemptionPolicy": "Never", "description": "new"},
        {"value": 11, "preemptionPolicy": "Never"},
    ),
]
each_mirrored = pytest.mark.parametrize(
    ("switch", "resource", "fields", "changed", "fixed"), MIRRORED, ids=[row[0] for row in MIRRORED]
)


@each_mirrored
def test_a_class_of_the_host_is_seen_followed_and_gone_with_it(
    switch: str, resource: Resource, fields: Any, changed: Any, fixed: Any
) -> None:
    worlds, key = Worlds(on=[switch]), Key("", "one")
    host = worlds.put_host(resource, "one", metadata={"labels": {"a": "b"}, "annotations": {"c": "d"}}, **fields)
    worlds.settle(resource, key)
    seen = worlds.here[resource, key]
    assert {name: seen[name] for name in fields} == fields
    assert seen["metadata"]["labels"] == {"a": "b"}
    assert seen["metadata"]["annotations"]["c"] == "d"

    host.update(changed)
    host["metadata"]["labels"] = {}
    worlds.settle(resource, key)
    assert {name: seen[name] for name in changed} == changed
    assert seen["metadata"]["labels"] == {}

    host.update(fixed)
    [action] = worlds.look(resource, key)
    assert isinstance(action, DeleteVirtual), "what can't be changed in place must be made anew"
    worlds.settle(resource, key)
    assert {name: worlds.here[resource, key][name] for name in fixed} == fixed

    del worlds.there[resource, "one"]
    worlds.settle(resource, key)
    assert (resource, key) not in worlds.here


@each_mirrored
def test_what_a_user_changes_of_a_class_of_the_host_is_put_back(
    switch: str, resource: Resource, fields: Any, changed: Any, fixed: Any
) -> None:
    worlds, key = Worlds(on=[switch]), Key("", "one")
    worlds.put_host(resource, "one", metadata={"labels": {"a": "b"}}, **changed)
    worlds.settle(resource, key)
    seen = worlds.here[resource, key]
    seen.update(fields)
    seen["metadata"]["labels"] = {"a": "x", "mine": "kept"}
    worlds.settle(resource, key)
    assert {name: seen[name] for name in changed} == changed
    assert seen["metadata"]["labels"] == {"a": "b", "mine": "kept"}
    del worlds.here[resource, key]
    worlds.settle(resource, key)
    assert (resource, key) in worlds.here


@each_mirrored
def test_a_class_a_user_made_is_his_even_if_it_looks_like_the_hosts(
    switch: str, resource: Resource, fields: Any, changed: Any, fixed: Any
) -> None:
    worlds = Worlds(on=[switch])
    worlds.put_host(resource, "one", **fields)
    worlds.settle(resource, Key("", "one"))
    note = worlds.here[resource, Key("", "one")]["metadata"]["annotations"]
    worlds.put(resource, "", "copy", metadata={"annotations": dict(note)}, **fixed)
    assert worlds.settle(resource, Key("", "copy")) == ()
    assert (resource, Key("", "copy")) in worlds.here

    other = Worlds(on=[switch])
    mine = other.put(resource, "", "one", **fixed)
    other.put_host(resource, "one", **fields)
    assert other.settle(resource, Key("", "one")) == ()
    assert {name: mine[name] for name in fixed} == fixed


def test_what_a_tenant_carried_to_the_host_is_no_class_of_the_hosts() -> None:
    carrier = Worlds(tenant("vc-b2"), on=[UP])
    carrier.put(PRIORITY_CLASSES, "", "high", value=5)
    carrier.settle(PRIORITY_CLASSES, Key("", "high"))
    [made] = carrier.there.values()
    assert mirror.key_of(made, tenant()) is None


def test_a_carried_priority_class_keeps_to_users_values_and_is_nobodys_default() -> None:
    worlds = Worlds(on=[UP])
    fields = {"value": 2_000_000_000, "globalDefault": True, "preemptionPolicy": "Never", "description": "d"}
    worlds.put(PRIORITY_CLASSES, "", "high", **fields)
    worlds.settle(PRIORITY_CLASSES, Key("", "high"))
    host = worlds.there[PRIORITY_CLASSES, host_name("vc-a1", "", "high")]
    assert (host["value"], host["globalDefault"]) == (1_000_000_000, False)
    assert (host["preemptionPolicy"], host["description"]) == ("Never", "d")
    assert "namespace" not in host["metadata"]
    worlds.here[PRIORITY_CLASSES, Key("", "high")]["description"] = "e"
    worlds.settle(PRIORITY_CLASSES, Key("", "high"))
    assert host["description"] == "e"
    del worlds.here[PRIORITY_CLASSES, Key("", "high")]
    worlds.settle(PRIORITY_CLASSES, Key("", "high"))
    assert not worlds.there


@given(st.integers(-(2**31), 2**31 - 1))
def test_no_value_leads_above_what_users_may_have(value: int) -> None:
    item = {"metadata": {"name": "c", "uid": "u"}, "value": value}
    made = priorityclasses.to_host(Key("", "c"), item, tenant())
    assert made["value"] == value if value <= 1_000_000_000 else made["value"] == 1_000_000_000


def test_the_systems_own_classes_are_neither_carried_nor_mirrored() -> None:
    worlds = Worlds(on=[UP])
    worlds.put(PRIORITY_CLASSES, "", "system-node-critical", value=2_000_001_000)
    assert worlds.settle(PRIORITY_CLASSES, Key("", "system-node-critical")) == ()
    assert not worlds.there
    pod(worlds, priorityClassName="system-node-critical")
    assert "priorityClassName" not in host_pod(worlds)["spec"]

    worlds = Worlds(on=[DOWN])
    worlds.put_host(PRIORITY_CLASSES, "system-node-critical", value=2_000_001_000)
    assert worlds.host(PRIORITY_CLASSES, Key("", "system-node-critical")) is None


def test_a_pod_waits_for_its_priority_class_and_has_it_under_the_hosts_name() -> None:
    worlds = Worlds(on=[UP])
    worlds.put(PRIORITY_CLASSES, "", "high", value=5)
    made = pod(worlds, priorityClassName="high", priority=5)
    key = Key("default", "web")
    assert worlds.settle(PODS, key) == ()
    assert worlds.host(PODS, key) is None
    worlds.settle(PRIORITY_CLASSES, Key("", "high"))
    [host] = [item for (kind, _), item in worlds.there.items() if kind == PRIORITY_CLASSES]
    assert list(worlds.kinds[PRIORITY_CLASSES].wakes(host, worlds)) == [(PODS, key)]
    assert host_pod(worlds)["spec"]["priorityClassName"] == host_name("vc-a1", "", "high")
    assert "priority" not in host_pod(worlds)["spec"]
    assert made["spec"]["priority"] == 5


@pytest.mark.parametrize("on", [[], [UP], [DOWN]])
def test_a_class_that_is_not_there_is_left_out(on: list[str]) -> None:
    worlds = Worlds(on=on)
    pod(worlds, priorityClassName="gone")
    assert "priorityClassName" not in host_pod(worlds)["spec"]


def test_a_pod_names_a_class_of_the_hosts_as_it_is_unless_its_user_made_it() -> None:
    worlds = Worlds(on=[DOWN, "from_host.runtime_classes"])
    for resource, fields in ((PRIORITY_CLASSES, {"value": 5}), (RUNTIME_CLASSES, {"handler": "gvisor"})):
        worlds.put_host(resource, "theirs", **fields)
        worlds.settle(resource, Key("", "theirs"))
        worlds.put_host(resource, "mine", **fields)
        worlds.put(resource, "", "mine", **fields)
    pod(worlds, priorityClassName="theirs", runtimeClassName="theirs")
    pod(worlds, "other", priorityClassName="mine", runtimeClassName="mine")
    spec = host_pod(worlds)["spec"]
    assert (spec["priorityClassName"], spec["runtimeClassName"]) == ("theirs", "theirs")
    assert not {"priorityClassName", "runtimeClassName"} & set(host_pod(worlds, "other")["spec"])


def test_on_shared_nodes_a_runtime_the_host_does_not_have_is_never_silently_another() -> None:
    """Who asks for a sandbox must get it or an error, not a pod without one."""
    worlds = Worlds(tenant(private_nodes=False), on=["from_host.runtime_classes"])
    pod(worlds, runtimeClassName="gvisor")
    assert host_pod(worlds)["spec"]["runtimeClassName"] == "gvisor"


def test_a_service_account_lends_its_name_and_annotations_only() -> None:
    worlds = Worlds(on=["to_host.service_accounts"])
    key = Key("default", "builder")
    worlds.put(
        SERVICE_ACCOUNTS,
        *key,
        metadata={"annotations": {"cloud/role": "r"}},
        secrets=[{"name": "s"}],
        imagePullSecrets=[{"name": "p"}],
        automountServiceAccountToken=True,
    )
    pod(worlds, serviceAccountName="builder")
    assert worlds.settle(PODS, Key("default", "web")) == ()
    worlds.settle(SERVICE_ACCOUNTS, key)
    host = worlds.there[SERVICE_ACCOUNTS, host_name("vc-a1", *key)]
    assert host["metadata"]["annotations"]["cloud/role"] == "r"
    assert host["automountServiceAccountToken"] is False
    assert not {"secrets", "imagePullSecrets"} & set(host)
    assert list(worlds.kinds[SERVICE_ACCOUNTS].wakes(host, worlds)) == [(PODS, Key("default", "web"))]
    made = host_pod(worlds)
    assert made["spec"]["serviceAccountName"] == host_name("vc-a1", *key)
    assert made["spec"]["automountServiceAccountToken"] is False


def test_without_the_switch_a_pod_runs_as_nobody_of_the_tenants() -> None:
    worlds = Worlds()
    pod(worlds, serviceAccountName="builder")
    assert "serviceAccountName" not in host_pod(worlds)["spec"]


def test_host_pods_tell_the_labels_of_their_namespace_and_follow_them() -> None:
    worlds = Worlds()
    space = worlds.put(NAMESPACES, "", "team", metadata={"labels": {"env": "test", "vcluster-syncer/tenant": "x"}})
    pod(worlds, namespace="team", metadata={"labels": {"env": "mine"}})

    def told() -> dict[str, str]:
        labels = host_pod(worlds, namespace="team")["metadata"]["labels"]
        return {key: value for key, value in labels.items() if "namespace-label" in key}

    assert sorted(told().values()) == ["test", "x"]
    assert host_pod(worlds, namespace="team")["metadata"]["labels"]["vcluster-syncer/tenant"] == "vc-a1"
    space["metadata"]["labels"] = {"env": "prod"}
    assert list(namespaces.KIND.wakes(space, worlds)) == [(PODS, Key("team", "web"))]
    assert list(told().values()) == ["prod"]


def test_a_mirrored_object_says_so_in_words_of_its_own() -> None:
    made = mirror.to_virtual(
        RUNTIME_CLASSES,
        Key("", "one"),
        {"metadata": {"name": "one", "labels": {"vcluster-syncer/x": "y", "a": "b"}}, "handler": "h"},
        fields=("handler",),
    )
    assert json.loads(made["metadata"]["annotations"][mirror.MIRRORED]) == {
        "name": "one",
        "annotations": [],
        "labels": ["a"],
    }
    assert mirror.is_mirrored(made)

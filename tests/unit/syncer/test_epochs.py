"""Names of the host objects of successive leases: apart from each other, but for what both of them have."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from syncer_worlds import Worlds, host_pod, pod, tenant
from test_naming import LABEL, labels, names
from vcluster_syncer import epochs, ownership
from vcluster_syncer.model import CONFIGMAPS, NAMESPACES, PODS, SECRETS, SERVICES, Key, Reference, Tenant
from vcluster_syncer.naming import host_namespace_of, name_on_host
from vcluster_syncer.translate import labels as labels_to_host
from vcluster_syncer.translate import metadata

DRAINING = tenant(drains_in_background=True)
TRANSLATE = Path(epochs.__file__).parent / "translate"
KEY = Key("default", "web")
WEB: Reference = (PODS, KEY)

numbers = st.integers(min_value=0, max_value=10**9)
tenants = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", fullmatch=True)


def at(epoch: int, **changes: Any) -> Tenant:
    return replace(DRAINING, epoch=epoch, **changes)


def written(of: Tenant, key: Key = KEY, *, role: str = "", uid: str = "u1") -> dict[str, Any]:
    """The host object that is made for a pod in the tenant's epoch."""
    virtual = {"metadata": {"name": key.name, "namespace": key.namespace, "uid": uid, "labels": {"app": "web"}}}
    return {"metadata": {**metadata.to_host(key, virtual, of, PODS, role=role), "uid": "h1"}}


@settings(max_examples=30)
@given(tenants, numbers, labels, names)
def test_a_name_is_legal_in_every_epoch(name: str, epoch: int, namespace: str, own: str) -> None:
    made = name_on_host(tenant(name, epoch=epoch), "Pod", namespace, own)
    assert len(made) <= 63
    assert LABEL.fullmatch(made)


@settings(max_examples=60)
@given(st.tuples(tenants, numbers, labels, names), st.tuples(tenants, numbers, labels, names))
def test_names_of_different_tenants_epochs_and_objects_differ(
    one: tuple[str, int, str, str], other: tuple[str, int, str, str]
) -> None:
    def made(name: str, epoch: int, namespace: str, own: str) -> str:
        return name_on_host(tenant(name, epoch=epoch), "Pod", namespace, own)

    assert (made(*one) == made(*other)) == (one == other)


@settings(max_examples=30)
@given(tenants, numbers, numbers, labels)
def test_host_namespaces_differ_by_epoch(name: str, one: int, other: int, namespace: str) -> None:
    spread = [host_namespace_of(tenant(name, each_namespace=True, epoch=epoch), namespace) for epoch in (one, other)]
    assert (spread[0] == spread[1]) == (one == other)
    assert all(LABEL.fullmatch(each) and len(each) <= 63 for each in spread)


def test_names_of_the_first_epoch_are_those_of_a_tenant_without() -> None:
    assert name_on_host(at(0), "Pod", *KEY) == name_on_host(tenant(), "Pod", *KEY)
    assert ownership.EPOCH_LABEL not in written(at(0))["metadata"]["labels"]


def test_an_object_tells_the_epoch_it_is_named_after() -> None:
    made = written(at(3))
    assert made["metadata"]["labels"][ownership.EPOCH_LABEL] == "3"
    assert epochs.written_of(made, DRAINING) == (("Pod", *KEY), 3)


@pytest.mark.parametrize("role", ownership.ROLES)
def test_what_is_of_another_epoch_is_nobodys_and_left_over(role: str) -> None:
    made = written(at(3), role=role)
    assert ownership.virtual_key(made, at(3), kind="Pod") == KEY
    assert not epochs.is_left_over(made, at(3))
    for other in (0, 2, 4):
        assert ownership.virtual_key(made, at(other), kind="Pod") is None
        assert epochs.is_left_over(made, at(other))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "a-copy-of-it"},
        {"labels": {ownership.TENANT_LABEL: "vc-b2", ownership.EPOCH_LABEL: "3"}},
        {"labels": {ownership.TENANT_LABEL: "vc-a1", ownership.EPOCH_LABEL: "2"}},
        {"labels": {ownership.TENANT_LABEL: "vc-a1", ownership.EPOCH_LABEL: "-3"}},
        {"labels": {ownership.TENANT_LABEL: "vc-a1"}},
        {"labels": None},
        {"annotations": {}},
        {"annotations": None},
    ],
)
def test_what_only_looks_like_ours_is_not_left_over(changes: dict[str, Any]) -> None:
    made = written(at(3))
    assert not epochs.is_left_over({"metadata": {**made["metadata"], **changes}}, at(4))


def test_a_host_namespace_of_an_ended_epoch_is_left_over() -> None:
    spread = replace(DRAINING, each_namespace=True)
    for epoch in (0, 2):
        was = replace(spread, epoch=epoch)
        labels, annotations = ownership.marks(Key("", "team"), {"metadata": {"uid": "u"}}, was, kind=NAMESPACES.kind)
        made = {"metadata": {"name": host_namespace_of(was, "team"), "labels": labels, "annotations": annotations}}
        assert not epochs.is_left_over(made, was)
        assert epochs.is_left_over(made, replace(spread, epoch=3))


def test_nothing_is_left_over_where_the_host_is_waited_for() -> None:
    assert not epochs.is_left_over(written(at(3)), tenant(epoch=4))


def test_what_is_present_keeps_its_names_for_good_and_what_is_not_gets_others() -> None:
    settings_key, later = (CONFIGMAPS, Key("default", "settings")), (PODS, Key("default", "later"))
    present: list[Reference] = [WEB, settings_key]
    before = at(0)
    for epoch in range(1, 4):
        after = epochs.raised(before, present)
        assert after.epoch == epoch
        for resource, key in present:
            assert name_on_host(after, resource.kind, *key) == name_on_host(at(0), resource.kind, *key)
        for resource, key in (later, (SECRETS, KEY)):
            assert name_on_host(after, resource.kind, *key) != name_on_host(before, resource.kind, *key)
        before = after


def test_who_went_gets_another_name_when_he_is_back() -> None:
    once = epochs.raised(at(0), [WEB])
    twice = epochs.raised(once, [])
    assert [each.epoch_of("Pod", *KEY) for each in (once, twice)] == [0, 2]


def test_a_syncer_that_comes_anew_goes_on_where_it_finds_the_host() -> None:
    database, password = ("Pod", "default", "db"), ("Secret", "default", "password")
    uses: dict[tuple[str, str, str], list[Reference]] = {database: [(SECRETS, Key("default", "password"))]}
    found = epochs.resumed(DRAINING, [0, 7, 5], {database: 0, ("Pod", *KEY): 7}, uses)
    assert found.epoch == 7
    assert [found.epoch_of(*name) for name in (database, password, ("Pod", *KEY))] == [0, 0, 7]


def test_a_syncer_that_finds_nothing_begins() -> None:
    assert epochs.resumed(DRAINING, [], {}, {}) == DRAINING


def test_a_pod_and_what_it_uses_agree_about_their_names_in_every_epoch() -> None:
    kept = {("Secret", "default", "old"): 0}
    worlds = Worlds(at(2, kept=kept))
    for name in ("old", "new"):
        worlds.put(SECRETS, "default", name, data={})
    volumes = [{"name": name, "secret": {"secretName": name}} for name in ("old", "new")]
    pod(worlds, volumes=volumes)
    there = [volume["secret"]["secretName"] for volume in host_pod(worlds)["spec"]["volumes"]]
    for name, epoch, found in (("old", None, there[0]), ("new", "2", there[1])):
        worlds.settle(SECRETS, Key("default", name))
        made = worlds.there[SECRETS, found]
        assert made["metadata"]["labels"].get(ownership.EPOCH_LABEL) == epoch


def test_selectors_reach_pods_of_every_epoch_that_were_not_left_over() -> None:
    worlds = Worlds(at(2, kept={("Pod", "default", "old"): 0}))
    spec = {"selector": {"app": "web"}, "clusterIP": "10.0.0.9", "ports": []}
    worlds.put(SERVICES, "default", "web", spec=spec)
    worlds.settle(SERVICES, KEY)
    service = worlds.host(SERVICES, KEY)
    assert service is not None
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "namespaceSelector": {}, "topologyKey": "zone"}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    for name in ("old", "new"):
        pod(worlds, name, metadata={"labels": {"app": "web"}}, affinity={"podAntiAffinity": required})
        found = host_pod(worlds, name)
        own = found["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= own.items()
        rule = found["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
        assert {"key": ownership.NAMESPACE_LABEL, "operator": "Exists"} in rule["labelSelector"]["matchExpressions"]


def test_selectors_tell_pods_by_their_epoch_unless_the_baseline_has_some() -> None:
    def selector(of: Tenant) -> dict[str, str]:
        found = labels_to_host.selector_to_host({"matchLabels": {"app": "web"}}, of, None)
        assert found is not None
        pairs = labels_to_host.pairs_to_host({"app": "web"}, of, "default")
        assert {**found["matchLabels"], ownership.NAMESPACE_LABEL: "default"} == pairs
        return pairs

    service: Reference = (SERVICES, KEY)
    assert ownership.EPOCH_LABEL not in selector(at(0))
    assert ownership.EPOCH_LABEL not in selector(epochs.raised(at(0), [service, WEB]))
    alone = epochs.raised(at(0), [service])
    own = written(alone, Key("default", "mine"))["metadata"]["labels"]
    assert selector(alone).items() <= {**own, ownership.NAMESPACE_LABEL: "default"}.items()
    assert not selector(alone).items() <= written(at(0))["metadata"]["labels"].items()
    assert selector(epochs.raised(alone, []))[ownership.EPOCH_LABEL] == "2"
    assert selector(epochs.resumed(DRAINING, [2], {}, {}))[ownership.EPOCH_LABEL] == "2"
    assert ownership.EPOCH_LABEL not in selector(epochs.resumed(DRAINING, [2], {("Pod", *KEY): 0}, {}))


def test_a_service_of_the_baseline_follows_the_pods_of_the_lease() -> None:
    worlds = Worlds(at(0))
    worlds.put(SERVICES, "default", "web", spec={"selector": {"app": "web"}, "clusterIP": "10.0.0.9", "ports": []})
    worlds.settle(SERVICES, KEY)
    for _ in range(2):
        worlds.tenant = epochs.raised(worlds.tenant, [(SERVICES, KEY)])
        worlds.settle(SERVICES, KEY)
        service = worlds.host(SERVICES, KEY)
        assert service is not None
        name = f"web-{worlds.tenant.epoch}"
        pod(worlds, name, metadata={"labels": {"app": "web"}})
        assert service["spec"]["selector"].items() <= host_pod(worlds, name)["metadata"]["labels"].items()
        assert len([one for kind, one in worlds.there if kind == SERVICES]) == 1


@pytest.mark.parametrize("path", sorted(TRANSLATE.glob("*.py")), ids=lambda path: path.stem)
def test_kinds_ask_for_names_by_tenant_and_kind(path: Path) -> None:
    assert not re.search(r"\bhost_name\(", path.read_text()), "it would be the same name in every epoch"

"""ConfigMaps and Secrets."""

from typing import Any

import pytest
from syncer_worlds import Worlds, pod
from vcluster_syncer.model import CONFIGMAPS, PODS, SECRETS, CreateHost, DeleteHost, Key, Refuse, Resource
from vcluster_syncer.naming import host_name

KEY = Key("default", "settings")
NAME = host_name("vc-a1", *KEY)
BOTH = pytest.mark.parametrize("resource", [CONFIGMAPS, SECRETS])


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


def used(worlds: Worlds) -> dict[str, Any]:
    sources = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "settings"}}]
    return pod(worlds, containers=[{"name": "main", "envFrom": sources}])


def made(worlds: Worlds, resource: Resource, **fields: Any) -> dict[str, Any]:
    return worlds.put(resource, "default", "settings", **{"data": {"a": "1", "b": "2"}, **fields})


def on_host(worlds: Worlds, resource: Resource) -> dict[str, Any]:
    worlds.settle(resource, KEY)
    return worlds.there[resource, NAME]


@BOTH
def test_what_no_pod_uses_stays_where_it_is(worlds: Worlds, resource: Resource) -> None:
    made(worlds, resource)
    assert list(worlds.look(resource, KEY)) == []


@BOTH
def test_a_pod_of_another_namespace_does_not_count(worlds: Worlds, resource: Resource) -> None:
    made(worlds, resource)
    pod(worlds, namespace="other", containers=[{"name": "m", "envFrom": [{"configMapRef": {"name": "settings"}}]}])
    assert list(worlds.look(resource, KEY)) == []


@BOTH
def test_comes_when_a_pod_needs_it_and_goes_with_the_last_one(worlds: Worlds, resource: Resource) -> None:
    used(worlds)
    made(worlds, resource)
    host = on_host(worlds, resource)
    assert host["data"] == {"a": "1", "b": "2"}
    del worlds.here[PODS, Key("default", "web")]
    assert list(worlds.look(resource, KEY)) == [DeleteHost(resource, NAME, host["metadata"]["uid"])]


@BOTH
def test_created_after_its_pod_it_still_comes(worlds: Worlds, resource: Resource) -> None:
    used(worlds)
    assert list(worlds.look(resource, KEY)) == []
    made(worlds, resource)
    assert isinstance(worlds.look(resource, KEY)[0], CreateHost)


@BOTH
def test_deleted_by_its_user_it_goes(worlds: Worlds, resource: Resource) -> None:
    used(worlds)
    made(worlds, resource)
    on_host(worlds, resource)
    del worlds.here[resource, KEY]
    worlds.settle(resource, KEY)
    assert (resource, NAME) not in worlds.there


@BOTH
def test_changes_follow_and_removed_keys_go(worlds: Worlds, resource: Resource) -> None:
    used(worlds)
    item = made(worlds, resource)
    on_host(worlds, resource)
    item["data"] = {"a": "3", "c": "4"}
    assert on_host(worlds, resource)["data"] == {"a": "3", "c": "4"}
    item["data"] = {}
    assert not on_host(worlds, resource).get("data")


@BOTH
def test_an_edit_on_the_host_is_undone(worlds: Worlds, resource: Resource) -> None:
    used(worlds)
    made(worlds, resource)
    on_host(worlds, resource)["data"] = {"a": "forged", "z": "forged"}
    assert on_host(worlds, resource)["data"] == {"a": "1", "b": "2"}


@BOTH
def test_an_immutable_one_that_was_created_anew_is_made_anew(worlds: Worlds, resource: Resource) -> None:
    used(worlds)
    made(worlds, resource, immutable=True)
    old = on_host(worlds, resource)["metadata"]["uid"]
    made(worlds, resource, immutable=True, data={"a": "9"})
    host = on_host(worlds, resource)
    assert (host["immutable"], host["data"]) == (True, {"a": "9"})
    assert host["metadata"]["uid"] != old


@BOTH
def test_a_foreign_one_of_its_name_is_left_alone(worlds: Worlds, resource: Resource) -> None:
    used(worlds)
    made(worlds, resource)
    foreign = worlds.put_host(resource, NAME, data={"precious": "1"})
    (refusal,) = worlds.settle(resource, KEY)
    assert isinstance(refusal, Refuse)
    assert worlds.there[resource, NAME] == foreign


@BOTH
def test_one_that_is_being_deleted_on_the_host_is_waited_for(worlds: Worlds, resource: Resource) -> None:
    used(worlds)
    made(worlds, resource)
    on_host(worlds, resource)["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert list(worlds.look(resource, KEY)) == []


def test_binary_data_is_carried(worlds: Worlds) -> None:
    used(worlds)
    made(worlds, CONFIGMAPS, binaryData={"x": "AAEC"})
    assert on_host(worlds, CONFIGMAPS)["binaryData"] == {"x": "AAEC"}


@pytest.mark.parametrize(
    ("kind", "there"),
    [
        ("Opaque", "Opaque"),
        ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockerconfigjson"),
        ("kubernetes.io/tls", "kubernetes.io/tls"),
        ("kubernetes.io/service-account-token", "Opaque"),
    ],
)
def test_a_secrets_type(worlds: Worlds, kind: str, there: str) -> None:
    used(worlds)
    made(worlds, SECRETS, type=kind)
    assert on_host(worlds, SECRETS)["type"] == there


def test_what_kubectl_last_applied_stays_behind(worlds: Worlds) -> None:
    used(worlds)
    made(
        worlds,
        CONFIGMAPS,
        metadata={"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "1"}},
    )
    annotations = on_host(worlds, CONFIGMAPS)["metadata"]["annotations"]
    assert annotations["a"] == "1"
    assert not [name for name in annotations if name.startswith("kubectl")]

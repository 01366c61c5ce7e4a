"""ConfigMaps and Secrets that the virtual cluster gets from the host, and those that are on the host always."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from syncer_worlds import Worlds, pod, tenant
from vcluster_syncer.model import (
    CONFIGMAPS,
    NAMESPACES,
    SECRETS,
    CreateHost,
    CreateVirtual,
    DeleteHost,
    Import,
    Key,
    Later,
    Resource,
)
from vcluster_syncer.naming import host_name

BOTH = pytest.mark.parametrize("resource", [CONFIGMAPS, SECRETS])
KEY = Key("default", "settings")


def importing(resource: Resource, *imports: tuple[str, str]) -> Worlds:
    made = []
    for origin, target in imports:
        (from_namespace, from_name), (to_namespace, to_name) = origin.split("/"), target.split("/")
        made.append(
            Import(
                resource=resource,
                from_namespace=from_namespace,
                from_name=from_name,
                to_namespace=to_namespace,
                to_name=to_name,
            )
        )
    return Worlds(tenant(imports=tuple(made)))


def at_host(worlds: Worlds, resource: Resource, namespace: str, name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": f"h-{len(worlds.elsewhere)}", **fields.pop("metadata", {})}
    item = {"metadata": metadata, "data": {"a": "1"}, **fields}
    worlds.elsewhere[resource, namespace, name] = item
    return item


@BOTH
def test_a_named_object_is_shown_where_it_is_to_be(resource: Resource) -> None:
    worlds = importing(resource, ("shared/base", "default/settings"))
    at_host(worlds, resource, "shared", "base", metadata={"labels": {"team": "a"}})
    worlds.settle(resource, KEY)
    shown = worlds.here[resource, KEY]
    assert shown["data"] == {"a": "1"}
    assert shown["metadata"]["labels"] == {"team": "a"}
    assert list(worlds.look(resource, Key("default", "base"))) == []


@BOTH
def test_all_of_a_namespace_are_shown_under_their_names(resource: Resource) -> None:
    worlds = importing(resource, ("shared/*", "default/*"))
    for name in ("one", "two", "kube-root-ca.crt"):
        at_host(worlds, resource, "shared", name)
        worlds.settle(resource, Key("default", name))
    assert {key.name for kind, key in worlds.here if kind == resource} == {"one", "two"}


@BOTH
def test_what_is_named_goes_before_what_comes_along(resource: Resource) -> None:
    worlds = importing(resource, ("other/base", "default/settings"), ("shared/*", "default/*"))
    at_host(worlds, resource, "shared", "settings", data={"from": "all"})
    at_host(worlds, resource, "other", "base", data={"from": "named"})
    worlds.settle(resource, KEY)
    assert worlds.here[resource, KEY]["data"] == {"from": "named"}


@BOTH
def test_what_the_host_changes_is_followed_and_what_a_user_changes_is_put_back(resource: Resource) -> None:
    worlds = importing(resource, ("shared/*", "default/*"))
    host = at_host(worlds, resource, "shared", "settings")
    worlds.settle(resource, KEY)
    host["data"] = {"a": "2"}
    worlds.settle(resource, KEY)
    shown = worlds.here[resource, KEY]
    assert shown["data"] == {"a": "2"}
    shown["data"] = {"a": "mine", "b": "mine"}
    worlds.settle(resource, KEY)
    assert worlds.here[resource, KEY]["data"] == {"a": "2"}
    del worlds.here[resource, KEY]
    worlds.settle(resource, KEY)
    assert worlds.here[resource, KEY]["data"] == {"a": "2"}
    del worlds.elsewhere[resource, "shared", "settings"]
    worlds.settle(resource, KEY)
    assert (resource, KEY) not in worlds.here


@BOTH
def test_a_sealed_one_that_was_made_anew_is_made_anew(resource: Resource) -> None:
    worlds = importing(resource, ("shared/*", "default/*"))
    at_host(worlds, resource, "shared", "settings", immutable=True)
    worlds.settle(resource, KEY)
    before = worlds.here[resource, KEY]["metadata"]["uid"]
    at_host(worlds, resource, "shared", "settings", immutable=True, data={"a": "2"})
    worlds.settle(resource, KEY)
    assert worlds.here[resource, KEY]["data"] == {"a": "2"}
    assert worlds.here[resource, KEY]["metadata"]["uid"] != before


@BOTH
def test_an_object_of_the_users_own_stays_his(resource: Resource) -> None:
    worlds = importing(resource, ("shared/*", "default/*"))
    mine = worlds.put(resource, "default", "settings", data={"mine": "1"})
    at_host(worlds, resource, "shared", "settings")
    assert list(worlds.look(resource, KEY)) == []
    del worlds.elsewhere[resource, "shared", "settings"]
    assert list(worlds.look(resource, KEY)) == []
    assert mine["data"] == {"mine": "1"}


@BOTH
def test_what_was_carried_to_the_host_does_not_come_back_as_another(resource: Resource) -> None:
    worlds = importing(resource, ("vc-a1-ns/*", "default/*"))
    at_host(worlds, resource, "vc-a1-ns", "settings", metadata={"labels": {"vcluster-syncer/tenant": "vc-a1"}})
    assert list(worlds.look(resource, KEY)) == []


@BOTH
def test_it_waits_for_its_namespace(resource: Resource) -> None:
    worlds = importing(resource, ("shared/*", "shop/*"))
    at_host(worlds, resource, "shared", "settings")
    [later] = worlds.look(resource, Key("shop", "settings"))
    assert isinstance(later, Later)
    namespace = worlds.put(NAMESPACES, "", "shop")
    [created] = worlds.look(resource, Key("shop", "settings"))
    assert isinstance(created, CreateVirtual)
    namespace["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    assert list(worlds.look(resource, Key("shop", "settings"))) == []


@BOTH
def test_an_import_that_is_configured_no_more_goes(resource: Resource) -> None:
    worlds = importing(resource, ("shared/*", "default/*"))
    at_host(worlds, resource, "shared", "settings")
    worlds.settle(resource, KEY)
    worlds.tenant = tenant()
    worlds.settle(resource, KEY)
    assert (resource, KEY) not in worlds.here


@BOTH
def test_an_imported_one_that_a_pod_uses_is_carried_like_any_other(resource: Resource) -> None:
    worlds = importing(resource, ("shared/*", "default/*"))
    at_host(worlds, resource, "shared", "settings")
    sources = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "settings"}}]
    pod(worlds, containers=[{"name": "main", "envFrom": sources}])
    worlds.settle(resource, KEY)
    assert worlds.there[resource, host_name("vc-a1", *KEY)]["data"] == {"a": "1"}


def test_a_token_of_the_host_is_shown_as_what_it_is_here() -> None:
    worlds = importing(SECRETS, ("shared/*", "default/*"))
    at_host(worlds, SECRETS, "shared", "settings", type="kubernetes.io/service-account-token")
    worlds.settle(SECRETS, KEY)
    assert worlds.here[SECRETS, KEY]["type"] == "Opaque"


@BOTH
def test_what_its_user_wants_there_always_is_on_the_host_without_a_pod(resource: Resource) -> None:
    worlds = Worlds()
    item = worlds.put(
        resource, "default", "settings", metadata={"annotations": {"vcluster-syncer/sync": "always"}}, data={"a": "1"}
    )
    worlds.settle(resource, KEY)
    host = worlds.there[resource, host_name("vc-a1", *KEY)]
    assert host["data"] == {"a": "1"}
    item["metadata"]["annotations"] = {}
    worlds.settle(resource, KEY)
    assert (resource, host["metadata"]["name"]) not in worlds.there


@BOTH
def test_a_sealed_copy_of_what_was_put_back_to_an_earlier_state_is_made_anew(resource: Resource) -> None:
    worlds = Worlds()
    noted = {"annotations": {"vcluster-syncer/sync": "always"}}
    item = worlds.put(resource, "default", "settings", metadata=noted, data={"a": "2"}, immutable=True)
    worlds.settle(resource, KEY)
    host = worlds.there[resource, host_name("vc-a1", *KEY)]["metadata"]
    item["data"] = {"a": "1"}
    del item["immutable"]
    assert worlds.look(resource, KEY) == (DeleteHost(resource, host["name"], host["uid"]),)
    worlds.settle(resource, KEY)
    assert worlds.there[resource, host["name"]]["data"] == {"a": "1"}


def test_a_copy_whose_type_somebody_changed_is_made_anew() -> None:
    worlds = Worlds()
    noted = {"annotations": {"vcluster-syncer/sync": "always"}}
    worlds.put(SECRETS, "default", "settings", metadata=noted, type="Opaque")
    worlds.settle(SECRETS, KEY)
    worlds.there[SECRETS, host_name("vc-a1", *KEY)]["type"] = "kubernetes.io/tls"
    [deleted] = worlds.look(SECRETS, KEY)
    assert isinstance(deleted, DeleteHost)
    worlds.do(deleted)
    assert isinstance(worlds.look(SECRETS, KEY)[0], CreateHost)


names = st.sampled_from(["a", "b", "kube-root-ca.crt"])
contents = st.dictionaries(names, st.sampled_from(["1", "2"]), max_size=2)


@settings(max_examples=60)
@given(st.sampled_from([CONFIGMAPS, SECRETS]), st.lists(st.tuples(contents, st.booleans()), min_size=1, max_size=4))
def test_whatever_the_host_does_it_is_shown_in_the_end(
    resource: Resource, versions: list[tuple[dict[str, str], bool]]
) -> None:
    worlds = importing(resource, ("shared/*", "default/*"))
    for data, is_sealed in versions:
        at_host(worlds, resource, "shared", "settings", data=data, **({"immutable": True} if is_sealed else {}))
        worlds.settle(resource, KEY)
        assert list(worlds.look(resource, KEY)) == []
        assert (worlds.here[resource, KEY].get("data") or {}) == data
        assert bool(worlds.here[resource, KEY].get("immutable")) == is_sealed


@settings(max_examples=60)
@given(names, names, st.booleans(), st.sampled_from(["default", "shop"]))
def test_where_an_object_is_shown_and_what_is_shown_there_agree(
    origin: str, target: str, is_all: bool, namespace: str
) -> None:
    named = {} if is_all else {"from_name": origin, "to_name": target}
    one = Import(resource=CONFIGMAPS, from_namespace="shared", to_namespace="default", **named)
    shown = one.shown_as(origin)
    assert shown is not None
    assert one.shows(shown) == origin
    found = one.shows(Key(namespace, target))
    assert found is None or one.shown_as(found) == Key(namespace, target)

from dataclasses import replace
from typing import Any

import pytest
from syncer_worlds import tenant
from vcluster_syncer import ownership
from vcluster_syncer.model import PODS, Key, Owner
from vcluster_syncer.translate import metadata

KEY = Key("default", "web")
VIRTUAL = {"metadata": {"name": "web", "namespace": "default", "uid": "u1", "labels": {"app": "web"}}}


def made(**changes: Any) -> dict[str, Any]:
    return {"metadata": {**metadata.to_host(KEY, VIRTUAL, tenant(), PODS), "uid": "h1", **changes}}


def test_finds_the_way_back_by_annotation() -> None:
    assert ownership.virtual_key(made(), tenant(), kind="Pod") == KEY


def test_knows_a_companion_by_its_role() -> None:
    companion = {"metadata": metadata.to_host(KEY, VIRTUAL, tenant(), PODS, role=ownership.TOKENS_ROLE)}
    assert ownership.virtual_key(companion, tenant(), kind="Pod") == KEY


@pytest.mark.parametrize(
    "item",
    [
        {"metadata": {"name": "web"}},
        {"metadata": {"name": "web", "labels": None, "annotations": None}},
        made(name="a-copy-some-host-controller-made"),
        made(labels={}),
        made(annotations={}),
    ],
)
def test_disowns_what_only_looks_like_ours(item: dict[str, Any]) -> None:
    assert ownership.virtual_key(item, tenant(), kind="Pod") is None


def test_disowns_another_tenants_object() -> None:
    assert ownership.virtual_key(made(), tenant("vc-b2"), kind="Pod") is None


def test_disowns_another_kinds_object() -> None:
    assert ownership.virtual_key(made(), tenant(), kind="Secret") is None


def test_tells_a_namesake_by_its_uid() -> None:
    assert ownership.carries(made(), VIRTUAL)
    assert not ownership.carries(made(), {"metadata": {**VIRTUAL["metadata"], "uid": "u2"}})


OWNED = replace(tenant(), owner=Owner("clusters", "vc-1", "s1"))
REFERENCE = {"apiVersion": "v1", "kind": "Service", "name": "vc-1", "uid": "s1"}


def test_what_is_made_in_the_owners_namespace_is_its_own() -> None:
    before = made()
    found = ownership.owned(before, OWNED, namespace="clusters")
    assert found["metadata"]["ownerReferences"] == [REFERENCE]
    assert {**found["metadata"], "ownerReferences": None} == {**before["metadata"], "ownerReferences": None}
    assert "ownerReferences" not in before["metadata"]


def test_owners_that_it_has_are_kept() -> None:
    other = {"kind": "Pod", "name": "web", "uid": "p1"}
    found = ownership.owned(made(ownerReferences=[other]), OWNED, namespace="clusters")
    assert found["metadata"]["ownerReferences"] == [other, REFERENCE]


@pytest.mark.parametrize("namespace", ["", "elsewhere"])
def test_an_owner_elsewhere_is_none(namespace: str) -> None:
    assert ownership.owned(made(), OWNED, namespace=namespace) == made()
    assert ownership.owned(made(), tenant(), namespace="clusters") == made()


def test_an_owned_object_is_known_as_ours() -> None:
    found = ownership.owned(made(), OWNED, namespace="clusters")
    assert ownership.virtual_key(found, OWNED, kind="Pod") == KEY
    assert ownership.carries(found, VIRTUAL)

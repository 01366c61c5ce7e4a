"""Labels and annotations that the host sets, seen in the virtual cluster."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syncer_worlds import SERVICES, Worlds, host_pod, merge, pod, run_on_host
from vcluster_syncer.model import PODS, Key
from vcluster_syncer.translate.host_metadata import FROM_HOST

WEB = Key("default", "web")
FIELDS = ("labels", "annotations")


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


def both(worlds: Worlds, **metadata: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A running pod on both sides."""
    virtual = pod(worlds, metadata=metadata)
    run_on_host(worlds, worlds.node())
    worlds.settle(PODS, WEB)
    host = worlds.host(PODS, WEB)
    assert isinstance(host, dict)
    return virtual, host


def on(item: dict[str, Any], field: str = "annotations") -> dict[str, str]:
    found: dict[str, str] = item["metadata"].setdefault(field, {})
    return found


@pytest.mark.parametrize("field", FIELDS)
def test_what_the_host_sets_is_shown_follows_and_goes(worlds: Worlds, field: str) -> None:
    virtual, host = both(worlds)
    for value in ("1", "2"):
        on(host, field)["net/status"] = value
        worlds.settle(PODS, WEB)
        assert on(virtual, field)["net/status"] == value
    assert on(host, field)["net/status"] == "2", "it is not written back"
    del on(host, field)["net/status"]
    worlds.settle(PODS, WEB)
    assert "net/status" not in on(virtual, field)
    assert FROM_HOST not in on(virtual)


@pytest.mark.parametrize("field", FIELDS)
def test_a_value_the_user_gives_it_wins_from_then_on(worlds: Worlds, field: str) -> None:
    virtual, host = both(worlds)
    on(host, field)["safe-to-evict"] = "false"
    worlds.settle(PODS, WEB)
    on(virtual, field)["safe-to-evict"] = "true"
    worlds.settle(PODS, WEB)
    assert on(host, field)["safe-to-evict"] == "true"
    on(host, field)["safe-to-evict"] = "false"
    worlds.settle(PODS, WEB)
    assert (on(host, field)["safe-to-evict"], on(virtual, field)["safe-to-evict"]) == ("true", "true")
    del on(virtual, field)["safe-to-evict"]
    worlds.settle(PODS, WEB)
    assert "safe-to-evict" not in on(host, field)


def test_what_the_user_set_first_is_his(worlds: Worlds) -> None:
    virtual, host = both(worlds, annotations={"a": "user"})
    on(host)["a"] = "host"
    worlds.settle(PODS, WEB)
    assert (on(virtual)["a"], on(host)["a"]) == ("user", "user")


def test_what_the_user_removes_comes_back_while_the_host_says_it(worlds: Worlds) -> None:
    virtual, host = both(worlds)
    on(host)["net/status"] = "up"
    worlds.settle(PODS, WEB)
    del on(virtual)["net/status"]
    worlds.settle(PODS, WEB)
    assert on(virtual)["net/status"] == "up"


def test_no_note_of_ours_and_no_name_of_the_host_is_shown(worlds: Worlds) -> None:
    virtual, host = both(worlds)
    own = host["metadata"]
    on(host)["net/status"] = f"{own['namespace']}/{own['name']} is attached"
    on(host)["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
    worlds.settle(PODS, WEB)
    assert on(virtual)["net/status"] == "default/web is attached"
    assert set(on(virtual)) == {"net/status", FROM_HOST}
    assert not on(virtual, "labels")


@pytest.mark.parametrize("broken", ["{", "[]", '{"labels": 1}'])
def test_a_broken_record_makes_it_the_users(worlds: Worlds, broken: str) -> None:
    virtual, host = both(worlds)
    on(host)["net/status"] = "up"
    worlds.settle(PODS, WEB)
    on(virtual)[FROM_HOST] = broken
    worlds.settle(PODS, WEB)
    assert on(virtual)["net/status"] == on(host)["net/status"] == "up"


def test_services_have_it_too(worlds: Worlds) -> None:
    virtual = worlds.put(SERVICES, "default", "web", spec={"type": "ClusterIP", "ports": [{"port": 80}]})
    worlds.settle(SERVICES, WEB)
    host = worlds.host(SERVICES, WEB)
    assert isinstance(host, dict)
    on(host)["balancer/address"] = "192.0.2.7"
    worlds.settle(SERVICES, WEB)
    assert on(virtual)["balancer/address"] == "192.0.2.7"


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["user", "host"]),
        st.sampled_from(FIELDS),
        st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2", None]), min_size=1),
        st.booleans(),
    ),
    max_size=8,
)


@given(EDITS)
def test_both_sides_agree_after_any_edits(edits: list[tuple[str, str, dict[str, str | None], bool]]) -> None:
    """Of the last word of each side, the user's holds; without one, the host's."""
    worlds = Worlds()
    virtual = pod(worlds)
    host = host_pod(worlds)
    for side, field, change, settles in edits:
        item = virtual if side == "user" else host
        item["metadata"][field] = merge(item["metadata"].get(field), change)
        item["metadata"]["resourceVersion"] += "."
        if settles:
            worlds.settle(PODS, WEB)
    worlds.settle(PODS, WEB)
    for field in FIELDS:
        here, there = on(virtual, field), on(host, field)
        assert {key: here.get(key) for key in "abc"} == {key: there.get(key) for key in "abc"}

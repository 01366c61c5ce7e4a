import pytest
from engine_parts import TENANT, WIDGETS, A, host_key, host_obj, kind, obj
from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.model import Key, Kind, Resource

GADGETS = Resource("", "v1", "gadgets", "Gadget")
SHELVES = Resource("", "v1", "shelves", "Shelf", namespaced=False)
B = Key("default", "b")


def nothing(*_):
    return ()


def memory(*kinds, live=True):
    queued = []
    made = Memory(TENANT, kinds or [kind()], enqueue=queued.append, clock=lambda: 1000.0)
    if live:
        made.go_live()
    return made, queued


def uses_gadgets(virtual):
    return frozenset((GADGETS, Key("default", name)) for name in virtual.get("uses", ()))


def gadgets(**fields):
    return Kind(resource=GADGETS, reconcile=nothing, host_key=lambda *_: None, **fields)


def test_nothing_is_queued_before_both_sides_are_read_and_then_every_key_once():
    made, queued = memory(live=False)
    made.virtual_stores[WIDGETS].replace([obj("a")], 1)
    made.host_objects[WIDGETS].replace([host_obj("a"), host_obj("b")], 1)
    assert queued == []
    made.go_live()
    assert sorted(queued) == [(WIDGETS, A), (WIDGETS, B)]


def test_a_change_on_either_side_queues_the_virtual_key():
    made, queued = memory()
    made.virtual_stores[WIDGETS].upsert(obj("a", 1))
    made.host_objects[WIDGETS].upsert(host_obj("b", 2))
    made.host_objects[WIDGETS].remove(host_obj("b", 3))
    assert queued == [(WIDGETS, A), (WIDGETS, B), (WIDGETS, B)]
    assert made.host(WIDGETS, B) is None


def test_a_host_object_that_moves_to_another_key_queues_both():
    made, queued = memory()
    made.host_objects[WIDGETS].upsert(host_obj("a", 1, "x"))
    queued.clear()
    moved = host_obj("b", 2, "x")
    moved["metadata"]["name"] = "host-a"
    made.host_objects[WIDGETS].upsert(moved)
    assert queued == [(WIDGETS, A), (WIDGETS, B)]
    assert made.host(WIDGETS, A) is None
    assert made.host(WIDGETS, B)["metadata"]["name"] == "host-a"


def test_an_object_that_is_nobodys_is_known_by_its_host_name_only():
    made, queued = memory()
    made.host_objects[WIDGETS].upsert(obj("foreign", 1, "vc"))
    assert queued == []
    assert made.host_named(WIDGETS, "foreign") is not None


def test_what_enters_or_leaves_the_references_of_an_object_is_queued():
    made, queued = memory(kind(references=uses_gadgets), gadgets())
    made.virtual_stores[WIDGETS].upsert(obj("a", 1, uses=["x", "y"]))
    assert set(queued) == {(WIDGETS, A), (GADGETS, Key("default", "x")), (GADGETS, Key("default", "y"))}
    queued.clear()
    made.virtual_stores[WIDGETS].upsert(obj("a", 2, uses=["y", "z"]))
    assert set(queued) == {(WIDGETS, A), (GADGETS, Key("default", "x")), (GADGETS, Key("default", "z"))}
    assert list(made.users(GADGETS, Key("default", "z"))) == [(WIDGETS, A)]
    made.virtual_stores[WIDGETS].remove(obj("a", 3))
    assert list(made.users(GADGETS, Key("default", "z"))) == []


def test_users_are_queued_when_what_they_use_appears_changes_or_goes():
    made, queued = memory(kind(references=uses_gadgets), gadgets())
    made.virtual_stores[WIDGETS].upsert(obj("a", 1, uses=["x"]))
    there = made.virtual_stores[GADGETS]
    for revision, change in enumerate((there.upsert, there.upsert, there.remove), 2):
        queued.clear()
        change(obj("x", revision))
        assert (WIDGETS, A) in queued


def test_references_to_what_no_kind_carries_are_not_queued():
    made, queued = memory(kind(references=uses_gadgets))
    made.virtual_stores[WIDGETS].upsert(obj("a", 1, uses=["x"]))
    assert queued == [(WIDGETS, A)]


def test_an_object_wakes_whom_its_kind_says_on_both_sides():
    made, queued = memory(kind(wakes=lambda _object, _world: [(GADGETS, B)]), gadgets())
    made.virtual_stores[WIDGETS].upsert(obj("a", 1))
    made.host_objects[WIDGETS].upsert(host_obj("a", 2))
    assert queued.count((GADGETS, B)) == 2


def test_a_companion_queues_its_owner_and_is_found_through_it():
    made, queued = memory(kind(companions=(GADGETS,)))
    made.host_objects[GADGETS].upsert(host_obj("a", 1))
    assert queued == [(WIDGETS, A)]
    assert made.host(GADGETS, A, owner=WIDGETS) is not None
    with pytest.raises(LookupError, match="gadgets keeps no gadgets"):
        made.host(GADGETS, A)


def test_of_cluster_scoped_host_objects_only_our_own_are_remembered():
    shelf = Kind(resource=SHELVES, reconcile=nothing, host_key=host_key)
    made, queued = memory(shelf)
    other = obj("other", 1, "")
    made.host_objects[SHELVES].upsert(other)
    made.host_objects[SHELVES].upsert(host_obj("a", 2))
    assert len(made.host_objects[SHELVES]) == 1
    assert queued == [(SHELVES, A)]


def test_a_mistake_in_a_kind_does_not_reach_the_watch(caplog):
    def broken(*_):
        raise ZeroDivisionError

    made, queued = memory(kind(references=broken, wakes=broken))
    made.virtual_stores[WIDGETS].upsert(obj("a", 1))
    assert queued == [(WIDGETS, A)]
    assert "ZeroDivisionError" in caplog.text


def test_a_kind_that_asks_for_what_nobody_watches_is_told_so():
    made, _ = memory()
    with pytest.raises(LookupError, match="no kind watches gadgets in the virtual cluster"):
        made.virtual(GADGETS, A)
    with pytest.raises(LookupError, match="no kind watches gadgets on the host"):
        made.host_named(GADGETS, "a")

"""Somebody who writes while the way back is gone: found by the next look, and never verified for pristine."""

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recycle_parts import KIND, MAP, OTHER, ROLE, SERVED, STATE, Way, interfering
from vcluster_syncer.recycle.way_back import NotPristine


@pytest.mark.parametrize("call", ["commit", "transaction", "caches"])
@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.put(OTHER),
        lambda store: store.put(MAP, b"theirs"),
        lambda store: store.put(MAP, b"map"),
        lambda store: store.delete(b"secrets/default/new"),
    ],
    ids=["adds", "changes", "writes what we would", "deletes what we would"],
)
def test_who_interferes_between_look_and_write_is_found_by_the_next_look(call, write):
    async def main():
        way = Way(meanwhile=interfering(call, write))
        way.store.put(MAP, b"changed")
        way.store.put(b"secrets/default/new")
        await way.to_the_end()
        assert way.store.values == STATE

    asyncio.run(main())


def test_who_deletes_between_look_and_write_what_we_put_is_found_though_the_value_is_right():
    async def main():
        way = Way(meanwhile=interfering("commit", lambda store: store.delete(MAP)))
        way.store.put(MAP, b"changed")
        with pytest.raises(NotPristine, match="objects of the baseline were deleted: configmaps/default/a"):
            await way.to_the_end()

    asyncio.run(main())


def test_who_never_stops_closes_the_way_and_is_named():
    async def main():
        way = Way(meanwhile=interfering("caches", *[lambda store: store.put(OTHER)] * 1000))
        way.store.put(MAP, b"changed")
        with pytest.raises(NotPristine, match=r"keeps changing after 41 rounds: configmaps/default/b$"):
            await way.back.sweep()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (lambda store: store.put(OTHER), "configmaps/default/b"),
        (lambda store: store.put(MAP, b"map"), "configmaps/default/a"),
        (lambda store: store.delete(MAP, ROLE), "clusterroles/admin, configmaps/default/a"),
    ],
    ids=["added", "written", "deleted"],
)
def test_verification_finds_any_difference_and_names_it(write, named):
    async def main():
        way = Way()
        await way.back.sweep()
        start = way.baseline.revision
        write(way.store)
        with pytest.raises(NotPristine, match=f"verification found differences: {named}$"):
            await way.back.verify()
        assert way.baseline.revision == start

    asyncio.run(main())


def test_rights_that_change_while_canaries_are_waited_for_get_new_canaries():
    async def main():
        way = Way(meanwhile=interfering("copies", lambda store: store.put(ROLE, b"again")))
        way.store.put(ROLE, b"more rights")
        await way.back.sweep()
        await way.back.confirm()
        first, second = way.wait.asked("copies")
        assert not set(first) & set(second), "no canary may take another's effect for its own"
        assert way.store.values == STATE

    asyncio.run(main())


def test_rights_that_never_stop_changing_close_the_way():
    async def main():
        way = Way(meanwhile=interfering("copies", *[lambda store: store.put(ROLE, b"again")] * 100))
        way.store.put(ROLE, b"more rights")
        await way.back.sweep()
        with pytest.raises(NotPristine, match="rights or admission keep changing: clusterroles"):
            await way.back.confirm()

    asyncio.run(main())


keys = st.sampled_from([MAP, OTHER, ROLE, b"clusterroles/more", b"namespaces/x", b"ipaddresses/1", KIND, SERVED])
writes = st.tuples(keys, st.sampled_from([None, b"map", b"role", b"theirs"]))
moments = st.lists(st.lists(writes, max_size=3), max_size=25)


def interrupted(lived, moments, *, revive):
    """A way back from what was `lived`, with some of `moments` before each of its calls."""
    left = []
    way = Way(meanwhile=lambda store, _call: store.live(left.pop(0) if left else ()), revive=revive)
    way.store.live(lived)
    left += moments
    asyncio.run(way.to_the_end())
    return way


@given(st.lists(writes, max_size=6), moments)
def test_however_somebody_interferes_what_is_verified_is_the_baseline(lived, moments):
    try:
        way = interrupted(lived, moments, revive=False)
    except NotPristine:
        return
    assert way.store.values == way.baseline.values == STATE
    assert way.baseline.stamps == way.store.stamps


@given(st.lists(writes, max_size=6), moments)
@example([], [[], [], [(MAP, None)], [(MAP, b"role")]])  # gone at one look, there again at the next
def test_who_stops_is_undone_where_objects_may_be_revived(lived, moments):
    try:
        way = interrupted(lived, moments, revive=True)
    except NotPristine as closed:
        # Written between the last look and the verification, or rights that changed too often.
        assert str(closed).startswith(("verification found differences", "rights or admission keep changing"))
        return
    assert way.store.values == way.baseline.values == STATE
    assert way.baseline.stamps == way.store.stamps

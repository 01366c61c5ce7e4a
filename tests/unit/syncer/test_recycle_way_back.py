"""One run back, on an etcd in memory: what is written in which order, what is waited for, and what closes the way."""

import asyncio

import pytest
from recycle_parts import KIND, MAP, OTHER, ROLE, SERVED, STATE, Way, interfering
from vcluster_syncer.recycle.canaries import PREFIX, is_canary
from vcluster_syncer.recycle.way_back import NotPristine, WayBack


def test_a_sweep_writes_back_what_differs_and_waits_for_the_caches_of_just_that():
    async def main():
        way = Way()
        way.store.put(MAP, b"changed")
        way.store.put(b"secrets/default/new", b"added")
        assert await way.back.sweep()
        assert way.store.values == STATE
        assert way.wait.calls == [("caches", {"configmaps": way.store.revision, "secrets": way.store.revision})]
        assert way.etcd.transactions == [((MAP,), (b"secrets/default/new",))]
        assert (way.back.rounds, way.back.written, way.back.last) == (1, 2, (MAP, b"secrets/default/new"))
        assert way.back.deleted == {b"secrets/default/new": way.store.revision}
        assert not await way.back.sweep()

    asyncio.run(main())


def test_where_nothing_differs_nothing_is_written_and_nothing_is_waited_for():
    async def main():
        way = Way()
        await way.to_the_end()
        assert (way.etcd.transactions, way.wait.calls, way.back.rounds) == ([], [], 0)

    asyncio.run(main())


def test_verified_is_the_new_start_and_only_what_comes_later_is_looked_at():
    async def main():
        way = Way()
        way.store.put(MAP, b"changed")
        before = way.baseline.revision
        await way.back.sweep()
        assert way.baseline.revision == before
        await way.back.verify()
        assert way.baseline.revision == way.store.revision
        assert way.baseline.stamps == way.store.stamps

    asyncio.run(main())


def test_canaries_are_there_while_they_are_waited_for_and_are_removed_again():
    seen = []

    def meanwhile(store, call):
        if call == "copies":
            seen.append({key for key in store.values if is_canary(key)})

    async def main():
        way = Way(meanwhile=meanwhile)
        way.store.put(ROLE, b"more rights")
        await way.back.sweep()
        await way.back.confirm()
        [named] = way.wait.asked("copies")
        [name] = named
        assert name.startswith(PREFIX)
        assert seen == [{f"clusterroles/{name}".encode(), f"clusterrolebindings/{name}".encode()}]
        assert way.store.values == STATE
        await way.back.verify()

    asyncio.run(main())


def test_canaries_themselves_demand_no_canaries():
    async def main():
        way = Way()
        way.store.put(ROLE, b"more rights")
        await way.back.sweep()
        await way.back.confirm()
        await way.back.confirm()
        assert len(way.wait.asked("copies")) == 1

    asyncio.run(main())


def test_changes_of_what_is_read_from_caches_alone_need_no_canary():
    async def main():
        way = Way()
        way.store.put(MAP, b"changed")
        way.store.put(b"secrets/default/new")
        await way.to_the_end()
        assert way.wait.asked("copies") == []

    asyncio.run(main())


def test_each_kind_of_copy_has_its_own_canary():
    async def main():
        way = Way()
        way.store.put(ROLE, b"more rights")
        way.store.put(b"resourcequotas/default/mine")
        await way.back.sweep()
        await way.back.confirm()
        [named] = way.wait.asked("copies")
        collections = sorted(sorted(canary.collections) for canary in named.values())
        assert collections == [["clusterrolebindings", "clusterroles"], ["resourcequotas"]]

    asyncio.run(main())


def test_it_is_waited_once_until_each_deleted_namespace_takes_nothing_any_more():
    async def main():
        way = Way()
        for name in (b"b", b"c", b"a"):
            way.store.put(b"namespaces/" + name)
        await way.back.sweep()
        await way.back.confirm()
        assert sorted(way.wait.asked("namespace_gone")) == ["a", "b", "c"]
        await way.back.confirm()
        assert len(way.wait.asked("namespace_gone")) == 3

    asyncio.run(main())


@pytest.mark.parametrize(
    ("key", "asked"),
    [(b"services/specs/default/web", True), (b"ranges/servicenodeports", True), (b"services/endpoints/a/b", False)],
)
def test_node_ports_are_read_again_once_where_services_changed(key, asked):
    def allocating(store, call):
        if call == "node_ports":
            store.put(b"ranges/servicenodeports", b"one port more")

    async def main():
        way = Way(meanwhile=allocating)
        way.store.put(key)
        await way.to_the_end()
        named = way.wait.asked("node_ports")
        assert len(named) == asked
        # The host is to let go of the Service that it took.
        assert {f"services/specs/kube-system/{name}".encode() for name in named} <= set(way.back.deleted)
        assert way.store.values == STATE

    asyncio.run(main())


def test_caches_are_waited_for_at_the_last_revision_of_their_own_collection():
    async def main():
        way = Way()
        way.store.put(b"secrets/default/new")
        for name in (b"x", b"y", b"z"):
            way.store.put(b"configmaps/default/" + name)
        before = way.store.revision
        await way.back.sweep()
        # No two keys of a collection at one revision: a watch could not be resumed between them.
        assert way.wait.asked("caches") == [{"configmaps": before + 3, "secrets": before + 1}]

    asyncio.run(main())


def test_discovery_is_waited_for_if_kinds_changed_and_once_only():
    async def main():
        way = Way()
        way.store.put(MAP, b"changed")
        await way.back.sweep()
        await way.back.confirm_discovery()
        assert way.wait.asked("discovery") == []
        for key in (KIND, SERVED):
            way.store.put(key)
            await way.back.sweep()
            await way.back.confirm_discovery()
            await way.back.confirm_discovery()
        assert len(way.wait.asked("discovery")) == 2

    asyncio.run(main())


@pytest.mark.parametrize(
    ("leader", "follower"),
    [(b"services/specs/default/web", b"ipaddresses/10.0.0.9"), (KIND, SERVED)],
    ids=["address", "served group"],
)
def test_what_follows_from_something_goes_after_it(leader, follower):
    async def main():
        way = Way()
        way.store.put(follower)
        way.store.put(leader)
        await way.back.sweep()
        assert way.etcd.transactions == [((), (leader,)), ((), (follower,))]
        assert way.store.values == STATE

    asyncio.run(main())


def test_a_follower_that_its_leader_brings_back_is_deleted_again():
    address = b"ipaddresses/10.0.0.9"

    async def main():
        # The API server still saw the Service when the address went.
        way = Way(meanwhile=interfering("caches", lambda store: store.put(address), after=1))
        way.store.put(address)
        way.store.put(b"services/specs/default/web")
        await way.to_the_end()
        assert way.store.values == STATE

    asyncio.run(main())


DELETED = [
    lambda store: store.delete(MAP),
    lambda store: (store.delete(MAP), store.put(MAP, b"map")),
]


@pytest.mark.parametrize("happened", DELETED, ids=["is gone", "was made again"])
def test_an_object_of_the_baseline_that_was_deleted_closes_the_way_before_anything_is_written(happened):
    async def main():
        way = Way()
        happened(way.store)
        way.store.put(OTHER)
        with pytest.raises(NotPristine, match="objects of the baseline were deleted: configmaps/default/a"):
            await way.back.sweep()
        assert way.etcd.transactions == []

    asyncio.run(main())


@pytest.mark.parametrize("happened", DELETED, ids=["is gone", "was made again"])
def test_it_may_be_revived_where_that_is_wanted_and_that_is_told(happened):
    async def main():
        way = Way(revive=True)
        happened(way.store)
        way.store.put(ROLE, b"more rights")
        await way.to_the_end()
        assert way.store.values == STATE
        assert way.back.revived == {MAP}

    asyncio.run(main())


@pytest.mark.parametrize("revive", [False, True])
def test_what_the_api_server_would_not_notice_closes_the_way_before_anything_is_written(revive):
    async def main():
        way = Way(revive=revive)
        way.store.put(MAP, b"changed")
        way.store.put(b"servicecidrs/more")
        with pytest.raises(NotPristine, match="can't be undone in place: servicecidrs/more"):
            await way.back.sweep()
        assert way.etcd.transactions == []

    asyncio.run(main())


def test_what_is_to_be_left_alone_is():
    async def main():
        way = Way(leave=(b"minions/",))
        way.store.put(b"minions/node-1")
        way.store.put(ROLE, b"more rights")
        await way.to_the_end()
        assert way.store.values == {**STATE, b"minions/node-1": b"-"}

    asyncio.run(main())


def test_what_is_left_alone_does_not_hide_that_something_is_gone():
    async def main():
        way = Way(leave=(b"minions/",))
        way.store.put(b"minions/node-1")
        way.store.delete(MAP)
        with pytest.raises(NotPristine, match="were deleted: configmaps/default/a"):
            await way.back.sweep()

    asyncio.run(main())


def test_a_second_run_begins_where_the_first_was_verified():
    async def main():
        way = Way()
        for lived in (b"one", b"two", b"three"):
            way.store.put(MAP, lived)
            way.store.put(b"secrets/default/" + lived)
            back = way.back = WayBack(way.etcd, way.wait, way.baseline)
            await way.to_the_end()
            assert way.store.values == STATE
            assert back.written == 2

    asyncio.run(main())


def heeded(way, *collections, namespaces=()):
    return way.back.heed(frozenset(collections), frozenset(namespaces))


def test_what_was_there_for_a_while_is_confirmed_though_nothing_differs():
    async def main():
        way = Way()
        assert heeded(way, "clusterroles", KIND.rpartition(b"/")[0].decode(), namespaces=[b"team"])
        await way.to_the_end()
        (canary,) = [named for call, named in way.wait.calls if call == "copies"]
        assert [each.collections for each in canary.values()] == [{"clusterroles", "clusterrolebindings"}]
        assert way.wait.asked("namespace_gone") == ["team"]
        assert len(way.wait.asked("discovery")) == 1
        assert way.back.redefined
        assert way.store.values == STATE

    asyncio.run(main())


def test_a_namespace_of_the_baseline_is_not_waited_to_be_gone():
    way = Way()
    assert not heeded(way, namespaces=[b"default"])


def test_nothing_noticed_is_nothing_to_confirm():
    way = Way()
    assert not heeded(way)
    assert not way.back.redefined


@pytest.mark.parametrize("collection", ["limitranges", "servicecidrs"])
def test_what_leaves_a_memory_that_nothing_undoes_closes_the_way(collection):
    way = Way()
    with pytest.raises(NotPristine, match=f"what was there for a while can't be undone in place: {collection}$"):
        heeded(way, "roles", collection)

"""Checkpoints, and the way back of a cluster that was used before the syncer knew it."""

import dataclasses
import sys

import pytest
from recycle_parts import KIND, MAP, OTHER, ROLE, SERVED, STATE
from recycler_parts import BRIEF, IMPATIENT, Bench, comes_to_be, is_frozen, sleeper
from vcluster_syncer.kube.errors import Unreachable
from vcluster_syncer.recycle.barrier import NotReached, Served
from vcluster_syncer.recycle.etcd import StoreError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
NODE, MIRRORED = b"minions/node-1", b"minions/node-2"


def checkpoint(bench):
    return bench.run(bench.recycler.checkpoint())


def restored(bench, name):
    return bench.run(bench.recycler.restore(name))


def test_a_cluster_goes_back_to_each_of_its_checkpoints_in_any_order():
    bench = Bench()
    first = checkpoint(bench)
    bench.store.live([(MAP, b"one"), (OTHER, b"one")])
    second = checkpoint(bench)
    bench.store.live([(MAP, b"two"), (b"secrets/default/c", b"two"), (ROLE, b"more rights")])
    assert first != second
    for name, state in [
        (second, {**STATE, MAP: b"one", OTHER: b"one"}),
        (first, STATE),
        (second, {**STATE, MAP: b"one", OTHER: b"one"}),
        (second, {**STATE, MAP: b"one", OTHER: b"one"}),
    ]:
        outcome = restored(bench, name)
        assert bench.store.values == state
        assert (outcome.pristine, outcome.restless) == (True, "")


def test_what_was_deleted_is_revived_and_that_is_told():
    bench = Bench()
    name = checkpoint(bench)
    bench.store.live([(ROLE, None), (MAP, None), (MAP, b"another"), (OTHER, b"-")])
    outcome = restored(bench, name)
    assert bench.store.values == STATE
    assert outcome.revived == ("clusterroles/admin", "configmaps/default/a")
    assert restored(bench, name).revived == ()


def test_processes_stand_still_until_the_state_is_back_and_confirmed():
    with sleeper() as process:
        bench = Bench(freeze=[process.pid])
        name = checkpoint(bench)
        bench.store.live([(ROLE, b"more rights"), (KIND, b"{}")])
        seen = []
        bench.barrier.during = lambda call: seen.append((call, comes_to_be(call != "discovery", process.pid)))
        restored(bench, name)
        assert {("caches", True), ("copies", True), ("discovery", True)} == set(seen)
        assert comes_to_be(False, process.pid)


@pytest.mark.parametrize("call", ["changed_since", "commit"])
def test_an_etcd_that_fails_is_told_and_processes_are_thawed(call):
    with sleeper() as process:
        bench = Bench(freeze=[process.pid])
        name = checkpoint(bench)
        bench.store.put(MAP, b"changed")
        bench.etcd.failing[call] = "etcdserver: mvcc: database space exceeded"
        with pytest.raises(StoreError, match="space exceeded"):
            restored(bench, name)
        assert comes_to_be(False, process.pid)
        del bench.etcd.failing[call]
        restored(bench, name)
        assert bench.store.values == STATE


def test_who_writes_once_more_is_undone():
    bench = Bench(limits=dataclasses.replace(BRIEF, restless=5.0))
    name = checkpoint(bench)
    bench.store.put(MAP, b"changed")
    late = [(MAP, b"changed again"), (ROLE, b"more rights")]
    bench.barrier.during = lambda call: bench.store.live([late.pop()] if call == "caches" and late else ())
    assert restored(bench, name).restless == ""
    assert bench.store.values == STATE


@pytest.mark.parametrize("call", ["caches", "changed_since"])
def test_who_never_stops_has_the_last_word_and_is_named(call):
    with sleeper() as process:
        bench = Bench(freeze=[process.pid])
        name = checkpoint(bench)
        bench.store.put(MAP, b"changed")

        def meanwhile(store, happening):
            assert len(bench.etcd.transactions) < 1000, "it never ends"
            if happening == call:
                store.put(OTHER)

        bench.meanwhile = meanwhile
        bench.barrier.during = lambda happening: meanwhile(bench.store, happening)
        outcome = restored(bench, name)
        assert (outcome.pristine, outcome.restless) == (False, "configmaps/default/b")
        assert bench.store.values[MAP] == b"map"
        assert not is_frozen(process.pid)


def test_a_checkpoint_that_nobody_took_is_a_key_error():
    bench = Bench()
    with pytest.raises(KeyError):
        restored(bench, "none")


def test_a_checkpoint_that_can_not_be_served_is_none():
    bench = Bench()
    bench.trouble["served"] = NotReached("waited 5 s for these to be served: apis/example.com/v1")
    with pytest.raises(NotReached):
        checkpoint(bench)
    assert bench.recycler._checkpoints == {}


def test_checkpoints_end_with_the_lease_whatever_comes_of_recycling():
    for happens in (lambda _bench: None, lambda bench: bench.store.delete(ROLE)):
        bench = Bench()
        bench.captured()
        name = checkpoint(bench)
        happens(bench)
        bench.recycled()
        with pytest.raises(KeyError):
            restored(bench, name)


def test_a_cluster_in_which_something_was_revived_is_not_recycled():
    bench = Bench()
    bench.captured()
    name = checkpoint(bench)
    bench.store.delete(MAP)
    restored(bench, name)
    assert bench.store.values == STATE
    outcome = bench.recycled()
    assert outcome.reason == "objects of the baseline were deleted: configmaps/default/a"


def test_others_are_frozen_once_processes_were_replaced():
    with sleeper() as old, sleeper() as new:
        bench = Bench(freeze=[old.pid], rest=[1, old.pid])
        bench.captured()
        bench.recycler.freeze_others([new.pid])
        assert bench.recycler._rest == (1, new.pid)
        seen = []
        bench.on_step = lambda step: step == "reset" and seen.append((is_frozen(old.pid), comes_to_be(True, new.pid)))
        assert bench.recycled().pristine
        assert seen == [(False, True)]


def unseen(bench, before):
    return bench.run(bench.recycler.recycle_unseen({"baseline": before}))


def used(*, before=(), lived=((MAP, b"changed"), (OTHER, b"-")), mirrors=True):
    """A bench whose cluster was `lived` in since somebody read it, and got its nodes meanwhile; and what was read."""
    bench = Bench(limits=BRIEF if mirrors else IMPATIENT)
    bench.store.live(before)
    read = bench.store.baseline()
    bench.store.live([*lived, (NODE, b"a test was here"), (MIRRORED, b"ready")])

    def syncer(store, call):
        if mirrors and call == "keys" and NODE not in store.values:
            store.live([(NODE, b"ready"), (MIRRORED, b"ready")])

    bench.meanwhile = syncer
    return bench, read


def test_a_cluster_that_was_used_before_it_was_known_goes_back_to_what_was_read_and_has_new_nodes():
    bench, read = used()
    outcome = unseen(bench, read)
    state = {**STATE, NODE: b"ready", MIRRORED: b"ready"}
    assert (outcome.pristine, outcome.reason, outcome.keys) == (True, "", len(state))
    assert bench.store.values == state
    assert bench.store.listing(outcome.revision).stamps == {}
    # From now on it is like any other.
    bench.store.live([(MAP, b"changed"), (NODE, b"cordoned")])
    assert bench.recycled().pristine
    assert bench.store.values == state


def test_nodes_that_are_not_mirrored_again_are_a_reason():
    bench, read = used(mirrors=False)
    assert unseen(bench, read).reason == "its nodes were not mirrored again"


@pytest.mark.parametrize(
    ("lived", "reason"),
    [
        ([(MAP, None)], "objects of the baseline were deleted: configmaps/default/a"),
        ([(b"servicecidrs/more", b"-")], "what was changed can't be undone in place: servicecidrs/more"),
        ([(KIND, b"{}")], "it was asked to serve other kinds before it was known which it should serve"),
    ],
    ids=["deleted", "irreversible", "reshaped"],
)
def test_the_way_back_of_such_a_cluster_may_be_closed_too(lived, reason):
    bench, read = used(lived=lived)
    outcome = unseen(bench, read)
    assert (outcome.pristine, outcome.reason) == (False, reason)
    assert bench.recycled().reason == "no baseline was taken"


def test_what_it_served_is_known_from_another_cluster_of_the_same_build():
    bench, read = used(lived=[(KIND, b"{}")])
    bench.plain[b"v1"] = Served(documents={"version": b"v1"})
    assert unseen(bench, read).pristine
    assert bench.barrier.asked("discovery")


def test_another_cluster_tells_nothing_of_one_that_had_kinds_of_its_own():
    bench, read = used(before=[(KIND, b"{}")], lived=[(KIND, b'{"changed": 1}')])
    bench.plain[b"v1"] = Served(documents={"version": b"v1"})
    assert unseen(bench, read).reason == "it was asked to serve other kinds before it was known which it should serve"


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ([], [b"v1"]),
        ([(SERVED, b'{"spec":{"group":"apps"}}')], [b"v1"]),
        ([(SERVED, b'{"spec":{"service":{"name":"x"}}}')], []),
        ([(KIND, b"{}")], []),
    ],
    ids=["nothing", "its own", "somebody else's", "a definition"],
)
def test_a_cluster_tells_what_it_serves_if_that_is_what_its_build_serves(state, told):
    bench = Bench()
    bench.store.live(state)
    bench.captured()
    assert list(bench.plain) == told


def test_an_api_server_that_does_not_answer_is_a_reason_for_such_a_cluster_too():
    bench, read = used()
    bench.trouble["served"] = Unreachable("no answer in time", request="GET /api")
    assert unseen(bench, read).reason == "GET /api: no answer in time"


def test_checkpoints_of_its_first_lease_end_too():
    bench, read = used()
    name = checkpoint(bench)
    assert unseen(bench, read).pristine
    with pytest.raises(KeyError):
        restored(bench, name)

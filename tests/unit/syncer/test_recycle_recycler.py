"""Recycling as a whole: only what was verified is pristine, and whoever was frozen is thawed, whatever happens."""

import asyncio
import os
import sys

import pytest
from recycle_parts import MAP, OTHER, ROLE, STATE
from recycler_parts import BRIEF, IMPATIENT, STEPS, Bench, comes_to_be, is_frozen, sleeper
from vcluster_syncer.kube.errors import Unreachable
from vcluster_syncer.recycle import rest
from vcluster_syncer.recycle.barrier import NotReached
from vcluster_syncer.recycle.etcd import StoreError
from vcluster_syncer.recycle.freeze import NotFrozen, frozen
from vcluster_syncer.recycle.stored import Outcome
from vcluster_syncer.recycle.way_back import NotPristine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")
ERRORS = [
    StoreError("etcd gave no answer"),
    NotReached("waited 5 s for discovery"),
    NotFrozen("process 7 can't be stopped"),
    NotPristine("it keeps changing"),
    Unreachable("no answer in time", request="GET /api"),
]


def ready(**options):
    """A bench with a baseline, in whose cluster somebody then lived."""
    bench = Bench(**options)
    bench.captured()
    bench.store.live([(MAP, b"changed"), (ROLE, b"more rights"), (b"pods/default/web", b"-"), (b"namespaces/x", b"-")])
    return bench


def test_a_cluster_is_brought_back_and_it_is_told_how():
    bench = ready()
    outcome = bench.recycled()
    assert bench.store.values == STATE
    assert bench.steps == STEPS
    assert (outcome.pristine, outcome.reason) == (True, "")
    assert (bench.store.listing(outcome.revision).stamps, outcome.keys) == ({}, len(STATE))
    # Two of the writes are the canary of the rights, which is removed again.
    assert (outcome.written, outcome.rounds) == (6, 2)
    assert list(outcome.seconds) == ["reset", "barrier", "freeze", "drain", "discovery", "quiet", "verify"]
    assert bench.barrier.asked("namespace_gone") == ["x"]


def test_it_is_waited_until_the_host_let_go_of_what_was_deleted():
    bench = ready()
    bench.recycled()
    [deleted] = bench.drained
    assert {("pods", "default", "web"), ("namespaces", "", "x")} <= set(deleted)
    assert not {name for _, _, name in deleted} & {"a", "admin", "default"}
    assert bench.put_back == [[("clusterroles", "", "admin"), ("configmaps", "default", "a")]]


def test_a_host_that_does_not_let_go_is_a_reason():
    bench = ready()
    bench.left = "Pod web-x (of default/web)"
    outcome = bench.recycled()
    assert outcome.reason == "the host did not let go of Pod web-x (of default/web)"
    assert not outcome.pristine


def test_it_can_be_done_again_and_again():
    bench = ready()
    for lived in (b"one", b"two"):
        bench.store.live([(MAP, lived), (OTHER, lived)])
        assert bench.recycled().pristine
        assert bench.store.values == STATE


def test_without_a_baseline_nothing_is_touched():
    bench = Bench()
    bench.store.put(OTHER)
    assert bench.recycled() == Outcome(pristine=False, reason="no baseline was taken")
    assert (bench.etcd.transactions, bench.steps) == ([], [])


def test_processes_stand_still_from_before_the_first_look_until_all_is_confirmed():
    with sleeper() as process:
        bench = ready(freeze=[process.pid])
        seen = {}
        bench.meanwhile = lambda _store, call: seen.setdefault((bench.steps[-1], call), is_frozen(process.pid))
        bench.on_step = lambda step: comes_to_be(step in STEPS[1:3], process.pid) if step != "freeze" else None
        assert bench.recycled().pristine
        assert {step: stood for (step, _), stood in seen.items()} == {
            "reset": True,
            "barrier": True,
            "quiet": False,
            "verify": False,
        }


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("step", STEPS)
def test_any_error_in_any_step_is_a_reason_and_processes_are_thawed(step, error):
    def fail(happening):
        if happening == step:
            raise error

    with sleeper() as process:
        bench = ready(freeze=[process.pid])
        bench.on_step = fail
        outcome = bench.recycled()
        assert (outcome.pristine, outcome.reason) == (False, str(error))
        assert comes_to_be(False, process.pid)


@pytest.mark.parametrize("call", ["changed_since", "commit", "transaction", "prove_writable"])
def test_an_etcd_that_fails_is_a_reason(call):
    with sleeper() as process:
        bench = ready(freeze=[process.pid])
        bench.etcd.failing[call] = "etcdserver: mvcc: database space exceeded"
        outcome = bench.recycled()
        assert (outcome.pristine, outcome.reason) == (False, "etcdserver: mvcc: database space exceeded")
        assert comes_to_be(False, process.pid)


@pytest.mark.parametrize("call", ["caches", "copies", "namespace_gone", "discovery"])
def test_an_api_server_that_does_not_show_what_is_stored_is_a_reason(call):
    def fail(happening):
        if happening == call:
            raise NotReached(f"waited for {call}")

    with sleeper() as process:
        bench = ready(freeze=[process.pid])
        bench.store.put(b"apiregistration.k8s.io/apiservices/v1.example.com")
        bench.barrier.during = fail
        outcome = bench.recycled()
        assert (outcome.pristine, outcome.reason) == (False, f"waited for {call}")
        assert comes_to_be(False, process.pid)


def test_who_is_interrupted_thaws_too():
    async def interrupted(bench):
        task = asyncio.create_task(bench.recycler.recycle())
        while "barrier" not in bench.steps:
            await asyncio.sleep(0)
        task.cancel()
        await task

    with sleeper() as process:
        bench = ready(freeze=[process.pid])
        bench.barrier.copies = lambda _named: asyncio.Event().wait()
        with pytest.raises(asyncio.CancelledError):
            bench.run(interrupted(bench))
        assert comes_to_be(False, process.pid)


def test_a_bug_is_no_outcome_but_processes_are_thawed():
    def fail(_call):
        raise ZeroDivisionError

    with sleeper() as process:
        bench = ready(freeze=[process.pid])
        bench.barrier.during = fail
        with pytest.raises(ZeroDivisionError):
            bench.recycled()
        assert comes_to_be(False, process.pid)


def test_a_process_that_is_gone_is_a_reason_and_the_others_are_thawed():
    with sleeper() as process, sleeper() as gone:
        gone.kill()
        gone.wait()
        bench = ready(freeze=[process.pid, gone.pid])
        outcome = bench.recycled()
        assert outcome.reason == f"process {gone.pid} can't be stopped: No such process"
        assert bench.etcd.transactions == []
        assert comes_to_be(False, process.pid)


def test_a_process_that_dies_while_it_is_frozen_does_not_keep_others_from_being_thawed():
    with sleeper() as gone, sleeper() as process:
        with frozen([gone.pid, process.pid]):
            assert comes_to_be(True, process.pid)
            gone.kill()
            gone.wait()
        assert comes_to_be(False, process.pid)


def test_who_writes_after_the_thaw_is_found_by_the_next_look():
    bench = ready()
    late = [lambda: bench.store.put(b"events/default/late"), lambda: bench.store.put(ROLE, b"again")]

    def meanwhile(_store, call):
        if bench.steps[-1] == "quiet" and call == "changed_since" and late:
            late.pop()()

    bench.meanwhile = meanwhile
    assert bench.recycled().pristine
    assert bench.store.values == STATE
    assert len(bench.barrier.asked("copies")) == 2, "rights that change after the thaw have to be confirmed too"


def test_who_writes_between_the_last_look_and_the_verification_is_a_reason():
    bench = ready()
    bench.on_step = lambda step: bench.store.put(OTHER) if step == "verify" else None
    outcome = bench.recycled()
    assert (outcome.pristine, outcome.reason) == (False, "verification found differences: configmaps/default/b")


def test_processes_that_do_not_come_to_rest_are_a_reason(monkeypatch):
    bench = ready(rest=[os.getpid()], limits=IMPATIENT)
    monkeypatch.setattr(rest, "at_rest", lambda _before, _after: False)
    outcome = bench.recycled()
    assert not outcome.pristine
    assert outcome.reason.startswith("its processes did not come to rest within 0.05 s; last written: ")


def test_it_is_looked_until_processes_are_at_rest_though_nothing_changes(monkeypatch):
    bench = ready(rest=[os.getpid()])
    answers = [False, False, True]
    monkeypatch.setattr(rest, "at_rest", lambda _before, _after: answers.pop(0))
    assert bench.recycled().pristine
    assert answers == []


def test_a_baseline_is_what_is_there_when_nothing_changes_any_more():
    bench = Bench(limits=BRIEF)
    changes = [(OTHER, b"1"), (OTHER, b"2"), (ROLE, None)]
    bench.meanwhile = lambda store, call: store.live([changes.pop(0)] if call == "changed_since" and changes else ())
    outcome = bench.captured()
    assert bench.recycler._baseline.values == {MAP: b"map", b"namespaces/default": b"ns", OTHER: b"2"}
    assert (outcome.pristine, outcome.revision, outcome.keys) == (True, bench.store.revision, 3)


def test_it_is_waited_until_the_definitions_of_the_baseline_are_served():
    bench = Bench()
    bench.store.put(b"apiextensions.k8s.io/customresourcedefinitions/widgets.example.com", b"definition")
    bench.captured()
    assert bench.definitions == [[b"definition"]]


@pytest.mark.parametrize(
    ("meanwhile", "named"),
    [
        (lambda store: store.put(OTHER), "configmaps/default/b"),
        (lambda store: store.delete(max(store.values)), "keys that come and go"),
    ],
    ids=["written", "deleted"],
)
def test_what_never_comes_to_rest_is_no_baseline_and_it_is_told_what_keeps_changing(meanwhile, named):
    bench = Bench(limits=IMPATIENT)
    for number in range(10_000):
        bench.store.put(b"leases/%05d" % number)
    bench.meanwhile = lambda store, call: meanwhile(store) if call == "changed_since" else None
    with pytest.raises(NotPristine, match=rf"never came to rest within 0\.05 s; still changing: {named}$"):
        bench.captured()
    bench.meanwhile = lambda _store, _call: None
    assert bench.recycled().reason == "no baseline was taken"


def test_a_state_that_can_not_be_served_is_no_baseline():
    bench = Bench()
    bench.trouble["served"] = NotReached("waited 5 s for these to be served: apis/example.com/v1")
    with pytest.raises(NotReached):
        bench.captured()
    assert bench.recycled().reason == "no baseline was taken"

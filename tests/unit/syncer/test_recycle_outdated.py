"""A controller manager that goes by definitions that are gone: when it is told, and how its successor is met."""

import json

import pytest
from recycle_parts import KIND, OTHER, SERVED
from recycler_parts import Bench
from test_recycle_requests import DEFINED, SCALED, look, write
from vcluster_syncer.recycle.barrier import NotReached
from vcluster_syncer.recycle.canaries import is_canary


def ready(audit=None):
    bench = Bench(audit=audit)
    assert bench.captured().pristine
    return bench


def note(log, *events):
    with log.open("a") as lines:
        lines.write("".join(json.dumps(event) + "\n" for event in events))


def test_without_an_audit_log_whoever_had_a_definition_leaves_an_outdated_one():
    bench = ready()
    assert not bench.recycled().outdated
    bench.store.put(KIND)
    assert bench.recycled().outdated
    assert not bench.recycled().outdated


def test_with_one_only_if_it_looked(tmp_path):
    log = tmp_path / "audit.log"
    bench = ready(log)
    for events, outdated in [((DEFINED,), False), ((DEFINED, look()), True), ((look(),), False)]:
        bench.store.put(KIND)
        note(log, *events)
        assert bench.recycled().outdated is outdated


@pytest.mark.parametrize(
    ("api", "outdated"),
    [(b'{"spec":{"service":{"name":"x"}}}', True), (b'{"spec":{"group":"apps"}}', False)],
    ids=["somebody else's", "its own"],
)
def test_autoscalers_are_remembered_where_somebody_serves_figures(tmp_path, api, outdated):
    log = tmp_path / "audit.log"
    bench = Bench(audit=log)
    bench.store.put(SERVED, api)
    assert bench.captured().pristine
    assert not bench.recycled().outdated
    note(log, SCALED)
    assert bench.recycled().outdated is outdated
    assert not bench.recycled().outdated
    name = bench.run(bench.recycler.checkpoint())
    note(log, SCALED)
    assert bench.run(bench.recycler.restore(name)).outdated is outdated


def test_what_it_looks_at_until_all_is_quiet_counts(tmp_path):
    log = tmp_path / "audit.log"
    bench = ready(log)
    bench.store.put(KIND)
    note(log, DEFINED)
    bench.on_step = lambda step: note(log, look()) if step == "quiet" else None
    assert bench.recycled().outdated


def test_what_a_test_removed_itself_is_confirmed(tmp_path):
    log = tmp_path / "audit.log"
    bench = ready(log)
    note(log, DEFINED, write("clusterroles"))
    assert bench.recycled().pristine
    assert len(bench.barrier.asked("copies")) == 1
    assert len(bench.barrier.asked("discovery")) == 1
    bench.barrier.calls.clear()
    assert bench.recycled().pristine
    assert bench.barrier.calls == []


def test_what_comes_late_is_confirmed_too(tmp_path):
    log = tmp_path / "audit.log"
    bench = ready(log)
    bench.on_step = lambda step: note(log, write("clusterroles")) if step == "quiet" else None
    assert bench.recycled().pristine
    assert len(bench.barrier.asked("copies")) == 1


def test_limits_that_were_there_for_a_while_are_a_reason(tmp_path):
    log = tmp_path / "audit.log"
    bench = ready(log)
    note(log, write("limitranges"))
    outcome = bench.recycled()
    assert (outcome.pristine, outcome.outdated) == (False, False)
    assert outcome.reason == "what was there for a while can't be undone in place: limitranges"


def test_a_log_that_can_not_be_read_is_a_reason(tmp_path):
    log = tmp_path / "audit.log"
    bench = ready(log)
    log.write_text("what?\n")
    assert "does not tell what was asked" in bench.recycled().reason


def test_a_successor_is_met_with_work_and_the_cluster_verified_once_that_is_done():
    bench = ready()
    seen = []

    def while_waiting(call):
        if call == "controllers":
            seen.extend(key for key in bench.store.values if is_canary(key))

    bench.barrier.during = while_waiting
    bench.store.put(OTHER, b"left by its start")
    outcome = bench.run(bench.recycler.recycle_awake([]))
    assert outcome.pristine
    (name,) = bench.barrier.asked("controllers")
    assert sorted(seen) == [f"{each}/kube-system/{name}".encode() for each in ("configmaps", "resourcequotas")]
    assert not any(is_canary(key) or key == OTHER for key in bench.store.values)


def test_one_that_does_not_work_is_a_reason():
    bench = ready()

    def fail(call):
        if call == "controllers":
            raise NotReached("waited 30 s for garbage to be collected")

    bench.barrier.during = fail
    outcome = bench.run(bench.recycler.recycle_awake([]))
    assert not outcome.pristine
    assert outcome.reason == ("its new controller manager does not work: waited 30 s for garbage to be collected")


def test_without_a_baseline_a_successor_is_not_met_at_all():
    bench = Bench()
    assert bench.run(bench.recycler.recycle_awake([])).reason == "no baseline was taken"
    assert bench.etcd.transactions == []


@pytest.mark.parametrize("events", [(DEFINED, look()), (DEFINED,)], ids=["looked", "did not look"])
def test_a_checkpoint_that_puts_definitions_away_tells_it_too(tmp_path, events):
    log = tmp_path / "audit.log"
    bench = ready(log)
    note(log, DEFINED, look())
    name = bench.run(bench.recycler.checkpoint())
    bench.store.put(KIND)
    note(log, *events)
    assert bench.run(bench.recycler.restore(name)).outdated is (look() in events)

import asyncio

import pytest
from engine_parts import TENANT, WIDGETS, A, kind, obj
from vcluster_syncer.engine.controller import Controller
from vcluster_syncer.engine.latency import TO_HOST, TO_VIRTUAL, Latency
from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.engine.metrics import Counter, Histogram, Metrics, lines
from vcluster_syncer.engine.outcomes import DONE, Failed, Later, Refused, Stale
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.model import Bind, DeleteHost, UpdateVirtualStatus

REFERENCE = (WIDGETS, A)
ON_HOST = DeleteHost(WIDGETS, "host-a", "uid-a")
IN_VIRTUAL = UpdateVirtualStatus(WIDGETS, obj("a"))
BIND = Bind(A, "uid-a", "node")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def durations():
    return Histogram("sync_seconds", "", "kind", "direction")


@pytest.fixture
def latency(durations, clock):
    return Latency(durations, clock)


def sum_of(histogram, direction):
    name = f'{histogram.name}_sum{{kind="widgets",direction="{direction}"}} '
    [line] = [line for line in histogram.lines() if line.startswith(name)]
    return float(line.rpartition(" ")[2])


def one_pass(latency, *actions, outcome=DONE):
    changes = latency.begin(REFERENCE)
    for action in actions:
        latency.did(action, changes, REFERENCE)
    latency.end(outcome, changes, REFERENCE)


def test_a_change_is_timed_until_the_other_side_was_written(latency, durations, clock):
    latency.changed(TO_HOST, REFERENCE)
    clock.now = 2.0
    latency.changed(TO_HOST, REFERENCE)  # seen again before anybody looked: the first counts
    clock.now = 3.0
    one_pass(latency, ON_HOST)
    assert durations.count("widgets", TO_HOST) == 1
    assert sum_of(durations, TO_HOST) == 3.0
    assert durations.count("widgets", TO_VIRTUAL) == 0


def test_directions_do_not_mix(latency, durations, clock):
    latency.changed(TO_HOST, REFERENCE)
    one_pass(latency, IN_VIRTUAL)
    latency.changed(TO_VIRTUAL, REFERENCE)
    one_pass(latency, ON_HOST)
    assert durations.count("widgets", TO_HOST) == durations.count("widgets", TO_VIRTUAL) == 0


@pytest.mark.parametrize("outcome", [Failed("away"), Stale("conflict"), Later(0.0, "the token is there")])
def test_what_a_pass_does_not_get_done_is_timed_from_its_beginning(latency, durations, clock, outcome):
    latency.changed(TO_HOST, REFERENCE)
    one_pass(latency, outcome=outcome)
    clock.now = 5.0
    latency.changed(TO_HOST, REFERENCE)
    clock.now = 6.0
    one_pass(latency, ON_HOST)
    assert sum_of(durations, TO_HOST) == 6.0


@pytest.mark.parametrize("outcome", [DONE, Refused("SyncError", "no"), Later(3000.0, "the token's renewal")])
def test_what_nothing_follows_from_is_not_timed_and_not_remembered(latency, durations, clock, outcome):
    latency.changed(TO_HOST, REFERENCE)
    one_pass(latency, outcome=outcome)
    assert latency.waiting == 0
    one_pass(latency, ON_HOST)
    assert durations.count("widgets", TO_HOST) == 0


@pytest.mark.parametrize("outcome", [DONE, Later(3000.0, "the token's renewal")])
def test_a_binding_is_not_the_status_that_users_wait_for(latency, durations, clock, outcome):
    latency.changed(TO_VIRTUAL, REFERENCE)
    one_pass(latency, BIND, outcome=outcome)
    clock.now = 4.0
    one_pass(latency, IN_VIRTUAL)
    assert sum_of(durations, TO_VIRTUAL) == 4.0
    assert latency.waiting == 0


def test_memory_notes_changes_once_it_is_live_and_the_controller_times_them(clock):
    metrics, queued = Metrics(), []
    latency = Latency(metrics.sync_seconds, clock)
    memory = Memory(TENANT, [kind()], enqueue=queued.append, clock=clock, latency=latency)
    memory.virtual_stores[WIDGETS].upsert(obj("old"))
    memory.go_live()
    memory.virtual_stores[WIDGETS].upsert(obj("a", 2))
    assert latency.waiting == 1

    class Executor:
        async def execute(self, action, about):
            clock.now = 0.25
            return DONE

    controller = Controller(memory, Executor(), timing=Timing(), clock=clock, metrics=metrics, latency=latency)
    for reference in queued:
        asyncio.run(controller.work(reference))
    assert metrics.sync_seconds.count("widgets", TO_HOST) == 1
    assert metrics.passes.get("widgets") == 2


@pytest.mark.parametrize(
    ("outcome", "counter"), [(Failed("x"), "errors"), (Stale("x"), "conflicts"), (Refused("X", "x"), "refusals")]
)
def test_outcomes_are_counted_by_kind(clock, outcome, counter):
    class Executor:
        async def execute(self, action, about):
            return outcome

    metrics = Metrics()
    memory = Memory(TENANT, [kind(lambda *_: [ON_HOST])], enqueue=lambda _: None, clock=clock)
    asyncio.run(Controller(memory, Executor(), timing=Timing(), clock=clock, metrics=metrics).work(REFERENCE))
    assert getattr(metrics, counter).get("widgets") == 1
    others = {"errors", "conflicts", "refusals"} - {counter}
    assert [getattr(metrics, other).get("widgets") for other in others] == [0, 0]


def test_the_text_is_what_prometheus_reads():
    counter = Counter("things_total", "Things.", "kind")
    counter.add("pods")
    counter.add("pods")
    assert list(counter.lines()) == [
        "# HELP vcluster_syncer_things_total Things.",
        "# TYPE vcluster_syncer_things_total counter",
        'vcluster_syncer_things_total{kind="pods"} 2',
    ]
    histogram = Histogram("took_seconds", "Took.", "kind")
    for seconds in (0.001, 0.3, 99.0):
        histogram.observe(seconds, "pods")
    text = list(histogram.lines())
    assert text[1] == "# TYPE vcluster_syncer_took_seconds histogram"
    assert 'vcluster_syncer_took_seconds_bucket{kind="pods",le="0.001"} 1' in text
    assert 'vcluster_syncer_took_seconds_bucket{kind="pods",le="0.25"} 1' in text
    assert 'vcluster_syncer_took_seconds_bucket{kind="pods",le="0.5"} 2' in text
    assert text[-3:] == [
        'vcluster_syncer_took_seconds_bucket{kind="pods",le="+Inf"} 3',
        'vcluster_syncer_took_seconds_sum{kind="pods"} 99.301',
        'vcluster_syncer_took_seconds_count{kind="pods"} 3',
    ]
    assert list(lines("x", "gauge", "X.", [({"a": 'q"\\\n'}, 0.5), ({}, 3.0)]))[2:] == ['x{a="q\\"\\\\\\n"} 0.5', "x 3"]

import asyncio

from engine_parts import TENANT, WIDGETS, A, kind, obj
from vcluster_syncer.engine.controller import Controller
from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.engine.outcomes import DONE, Failed, Later, Refused, Rejected, Stale
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.model import DeleteHost
from vcluster_syncer.model import Later as LaterAction

REFERENCE = (WIDGETS, A)
ACT = DeleteHost(WIDGETS, "host-a", "uid-a")


class Executor:
    """Answers with prepared verdicts; notes what it was to do and to tell."""

    def __init__(self, *verdicts):
        self.verdicts = list(verdicts)
        self.done = []
        self.told = []

    async def execute(self, action, about):
        assert about == REFERENCE
        self.done.append(action)
        if isinstance(action, LaterAction):
            return Later(action.seconds, action.reason)
        return self.verdicts.pop(0) if self.verdicts else DONE

    async def tell(self, about, reason, message):
        self.told.append((about, reason, message))


def passes(executor, *actions, count=1, times=None, **timing):
    """The outcomes of some passes over a key for which the kind always wants `actions`."""
    memory = Memory(TENANT, [kind(lambda *_: actions)], enqueue=lambda _: None, clock=lambda: 0.0)
    memory.virtual_stores[WIDGETS].replace([obj("a")], 1)
    clock = iter(times or [0.0] * 1000)
    controller = Controller(memory, executor, timing=Timing(**timing), clock=lambda: next(clock))

    async def main():
        return [await controller.work(REFERENCE) for _ in range(count)]

    return asyncio.run(main())


def test_actions_are_executed_in_order_and_stop_at_the_first_that_fails():
    other = DeleteHost(WIDGETS, "host-b", "uid-b")
    executor = Executor(DONE, Stale("conflict"))
    assert passes(executor, other, ACT, other) == [Stale("conflict")]
    assert executor.done == [other, ACT]


def test_the_soonest_later_is_the_outcome_and_stops_nothing():
    executor = Executor()
    assert passes(executor, LaterAction(60, "a"), LaterAction(5, "b"), ACT, LaterAction(9, "c")) == [Later(5, "b")]
    assert executor.done[2] == ACT


def test_nobody_is_told_why_the_object_before_his_was_refused():
    class Replacing(Executor):
        async def execute(self, action, about):
            memory.virtual_stores[WIDGETS].replace([obj("a", 2, uid="another")], 2)
            return await super().execute(action, about)

    executor = Replacing(Rejected("quota", may_pass=True))
    memory = Memory(TENANT, [kind(lambda *_: [ACT])], enqueue=lambda _: None, clock=lambda: 0.0)
    memory.virtual_stores[WIDGETS].replace([obj("a")], 1)
    controller = Controller(memory, executor, timing=Timing(doubts=0), clock=lambda: 0.0)
    assert asyncio.run(controller.work(REFERENCE)) == Stale("quota")
    assert executor.told == []


def test_nothing_to_do_is_done():
    assert passes(Executor()) == [DONE]


def test_a_rejection_is_doubted_before_the_user_is_told_and_then_final():
    executor = Executor(*[Rejected("spec is invalid", may_pass=False)] * 4)
    *doubts, last = passes(executor, ACT, count=4, doubts=3)
    assert doubts == [Failed("spec is invalid")] * 3
    assert last == Refused("SyncError", "spec is invalid")
    assert executor.told == [(REFERENCE, "SyncError", "spec is invalid")]


def test_a_rejection_that_may_pass_is_told_and_tried_on():
    executor = Executor(*[Rejected("quota", may_pass=True)] * 3)
    assert passes(executor, ACT, count=3, doubts=1) == [Failed("quota")] * 3
    assert len(executor.told) == 2


def test_a_server_that_changed_its_mind_was_never_heard_of():
    executor = Executor(Rejected("IP is taken", may_pass=False), DONE, Rejected("IP is taken", may_pass=False))
    assert passes(executor, ACT, count=3, doubts=1) == [Failed("IP is taken"), DONE, Failed("IP is taken")]
    assert executor.told == []


def test_writing_a_key_again_and_again_is_paused():
    outcomes = passes(Executor(), ACT, count=6, fight_passes=3, fight_pause=7.0)
    assert outcomes[:2] == outcomes[3:5] == [DONE, DONE]
    assert outcomes[2] == outcomes[5]
    assert outcomes[2].retry_after == 7.0
    assert "somebody else keeps changing it back" in outcomes[2].why


def test_writing_a_key_often_over_a_long_time_is_no_fight():
    times = [float(number) for number in range(50)]
    assert passes(Executor(), ACT, count=50, times=times, fight_passes=3, fight_window=1.5) == [DONE] * 50


def test_a_kind_that_raises_is_a_failure_of_its_key(caplog):
    memory = Memory(TENANT, [kind(lambda *_: 1 / 0)], enqueue=lambda _: None, clock=lambda: 0.0)
    controller = Controller(memory, Executor(), timing=Timing(), clock=lambda: 0.0)
    assert asyncio.run(controller.work(REFERENCE)) == Failed("ZeroDivisionError: division by zero")
    assert "Widget default/a" in caplog.text

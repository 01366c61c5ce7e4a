import asyncio
import random

import pytest
from fake_time import run
from vcluster_syncer.engine.outcomes import DONE, Failed, Later, Refused, Stale
from vcluster_syncer.engine.queue import Queue
from vcluster_syncer.engine.timing import Backoff, Timing

TIMING = Timing(failed=Backoff(first=1.0, longest=8.0), stale=Backoff(first=0.01, longest=1.0), workers=3, beginning=2)


class NoJitter(random.Random):
    def uniform(self, a, b):
        return b


class Work:
    """Answers with prepared outcomes, then with DONE; notes when it was asked."""

    def __init__(self, *outcomes, seconds=0.0):
        self.outcomes = list(outcomes)
        self.seconds = seconds
        self.calls = []
        self.active = set()
        self.most = 0

    async def __call__(self, key):
        assert key not in self.active, "one key is worked on twice at a time"
        self.calls.append((key, asyncio.get_running_loop().time()))
        self.active.add(key)
        self.most = max(self.most, len(self.active))
        await asyncio.sleep(self.seconds)
        self.active.remove(key)
        return self.outcomes.pop(0) if self.outcomes else DONE

    @property
    def times(self):
        return [pytest.approx(time, abs=1e-3) for _, time in self.calls]


def tried(work, *, keys=("a",), during=None, seconds=100.0, start=True, **options):
    """Add `keys`, let `during(queue)` happen, and look after `seconds` of fake time."""

    async def scenario():
        async with asyncio.TaskGroup() as tasks:
            queue = Queue(work, spawn=tasks.create_task, timing=TIMING, jitter=NoJitter(), **options)
            if start:
                queue.start()
            for key in keys:
                queue.add(key)
            if during:
                await during(queue)
            await asyncio.sleep(seconds)
            queue.close()
            return queue

    return run(scenario())


def test_a_key_added_often_while_it_waits_is_worked_on_once():
    work = Work()
    tried(work, keys=["a", "a", "b", "a"])
    assert [key for key, _ in work.calls] == ["a", "b"]


def test_a_key_added_while_it_is_worked_on_is_worked_on_once_more_afterwards():
    work = Work(seconds=1.0)

    async def during(queue):
        await asyncio.sleep(0.5)
        queue.add("a")
        queue.add("a")

    tried(work, during=during)
    assert work.times == [0.0, 1.0]


def test_keys_are_worked_on_at_the_same_time_up_to_the_bound():
    work = Work(seconds=1.0)
    tried(work, keys=range(7))
    assert work.most == 3
    assert work.times == [0, 0, 0, 1, 1, 1, 2]


def test_who_goes_first_finds_room_though_the_others_are_many():
    work = Work(seconds=1.0)

    async def during(queue):
        await asyncio.sleep(0.5)
        queue.add("1")
        queue.add("2")

    tried(work, keys="abcdef", during=during, goes_first=str.isdigit)
    begun = dict(work.calls)
    assert begun["1"] == pytest.approx(0.5, abs=0.01)
    assert begun["2"] <= 1.01 < begun["d"]
    assert work.most == 3


def test_without_them_the_others_leave_room_and_all_of_them_are_done():
    work = Work(seconds=1.0)
    tried(work, keys="abcdefg", goes_first=str.isdigit)
    assert (sorted(key for key, _ in work.calls), work.most) == (sorted("abcdefg"), 2)


def test_a_failure_is_retried_with_growing_pauses():
    work = Work(*[Failed("no")] * 6)
    queue = tried(work)
    assert work.times == [0, 1, 3, 7, 15, 23, 31]
    assert queue.errors == {}


def test_what_changes_meanwhile_does_not_shorten_the_pause_after_a_failure():
    work = Work(Failed("no"))

    async def during(queue):
        await asyncio.sleep(0.5)
        assert queue.errors == {"a": "no"}
        queue.add("a")

    tried(work, during=during)
    assert work.times == [0, 1]


def test_retry_after_is_obeyed_exactly():
    work = Work(Failed("429", retry_after=5.0))
    tried(work)
    assert work.times == [0, 5]


def test_a_success_resets_the_pauses():
    work = Work(Failed("no"), Failed("no"), DONE, Failed("no"))

    async def during(queue):
        await asyncio.sleep(50)
        queue.add("a")

    tried(work, during=during)
    assert work.times == [0, 1, 3, 50, 51]


def test_stale_memory_is_looked_at_again_in_a_moment_or_as_soon_as_news_come():
    work = Work(Stale("conflict"), Stale("conflict"))

    async def during(queue):
        await asyncio.sleep(0.001)
        queue.add("a")

    tried(work, during=during)
    assert work.times == [0, 0.001, 0.021]


def test_later_is_not_a_failure_and_news_bring_it_forward():
    work = Work(Later(60, "token"), Later(60, "token"))

    async def during(queue):
        await asyncio.sleep(10)
        assert queue.errors == {}
        queue.add("a")

    tried(work, during=during)
    assert work.times == [0, 10, 70]


def test_a_refusal_is_not_retried_until_something_changes():
    work = Work(Refused("Invalid", "spec"))

    async def during(queue):
        await asyncio.sleep(50)
        assert queue.errors == {"a": "Invalid: spec"}
        queue.add("a")

    queue = tried(work, during=during)
    assert work.times == [0, 50]
    assert queue.errors == {}


def test_nothing_is_worked_on_before_the_start():
    work = Work()

    async def during(queue):
        await asyncio.sleep(10)
        assert not work.calls
        assert len(queue) == 1
        queue.start()

    tried(work, during=during, start=False)
    assert work.times == [10]


def test_settled_waits_for_retries_but_not_for_later():
    async def scenario():
        async with asyncio.TaskGroup() as tasks:
            work = Work(Failed("no"), Later(60, "token"))
            queue = Queue(work, spawn=tasks.create_task, timing=TIMING, jitter=NoJitter())
            queue.start()
            queue.add("a")
            await queue.settled()
            assert asyncio.get_running_loop().time() == pytest.approx(1.0, abs=0.01)
            queue.close()

    run(scenario())


def test_an_idle_queue_has_no_task():
    async def scenario():
        async with asyncio.TaskGroup() as tasks:
            queue = Queue(Work(), spawn=tasks.create_task, timing=TIMING, jitter=NoJitter())
            queue.start()
            before = len(asyncio.all_tasks())
            queue.add("a")
            await queue.settled()
            await asyncio.sleep(1)
            assert len(asyncio.all_tasks()) == before
            assert queue.depths == {}

    run(scenario())


def test_a_key_added_when_the_owner_is_ending_is_dropped_in_peace():
    async def scenario():
        async with asyncio.TaskGroup() as tasks:
            queue = Queue(Work(), spawn=tasks.create_task, timing=TIMING, jitter=NoJitter())
            queue.start()
        queue.add("a")
        assert queue.depths == {}

    run(scenario())

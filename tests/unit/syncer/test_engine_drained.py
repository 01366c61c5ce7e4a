"""After a virtual cluster was put back: nothing may be left of what went, and no pause that an old failure earned."""

import asyncio
import random

import pytest
from engine_parts import NAME, WIDGETS, host_key, kind, tenant
from fake_api import answering, eventually
from test_engine_queue import Work, tried
from test_engine_tenants import Process
from vcluster_syncer import ownership
from vcluster_syncer.engine.host_side import HostSide
from vcluster_syncer.engine.outcomes import DONE, Failed, Later, Refused
from vcluster_syncer.engine.tenant import NotSynced, Surroundings, TenantSync
from vcluster_syncer.engine.tenants import NoSuchTenant
from vcluster_syncer.engine.timing import Backoff, Timing
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.model import CreateHost, DeleteHost, Kind

# Nobody lives to see the second attempt at what failed, unless somebody calls it back.
PATIENT = Timing(
    failed=Backoff(first=1000.0, longest=1000.0), restart=Backoff(first=0.01, longest=0.01), synced=20.0, settled=20.0
)
LONG, SHORT = 30.0, 0.5
NOW = 10**9
"""A revision that is younger than whatever a test writes."""
GONE = {("widgets", "default", "a"): NOW}


def carry(key, virtual, host, _world):
    if virtual is None and host is not None:
        return [DeleteHost(WIDGETS, host["metadata"]["name"], host["metadata"]["uid"])]
    if virtual is not None and host is None:
        annotations = {NAME: key.name, ownership.KIND: "Widget"}
        return [CreateHost(WIDGETS, {"metadata": {"name": f"host-{key.name}", "annotations": annotations}})]
    return []


CARRIED = Kind(resource=WIDGETS, reconcile=carry, host_key=host_key)


def drained(process, deleted=GONE, put=None, *, name="one", timeout=LONG):
    return process.tenants.drained(name, deleted, put, timeout=timeout)


def test_it_is_drained_when_the_host_has_let_go_of_what_was_deleted():
    async def main():
        async with Process.open(CARRIED, timing=PATIENT) as process:
            virtual = await process.virtual()
            await virtual.put("widgets", "a")
            await virtual.put("widgets", "b")
            await process.add("one", virtual)
            await virtual.drop("widgets", "a")
            assert await drained(process) == ""
            assert process.on_host("one") == ["host-b"]

    asyncio.run(main())


def test_what_is_carried_by_no_kind_and_what_was_never_there_is_not_waited_for():
    async def main():
        async with Process.open(CARRIED, timing=PATIENT) as process:
            await process.add("one", await process.virtual())
            others = [("configmaps", "default", "x"), ("example.com/widgets", "default", "x")]
            deleted = {**dict.fromkeys(others, NOW), **GONE}
            assert await drained(process, deleted) == ""
            assert await drained(process, {}) == ""

    asyncio.run(main())


def test_what_failed_before_is_done_now_without_the_pause_it_earned():
    async def main():
        async with Process.open(CARRIED, timing=PATIENT) as process:
            virtual = await process.virtual()
            await virtual.put("widgets", "a")
            await process.add("one", virtual)
            process.host.fail("DELETE", "widgets", answering(500, "InternalError", "not today"))
            await virtual.drop("widgets", "a")
            await eventually(lambda: process.tenants.describe()[0]["errors"])
            assert await drained(process) == ""
            assert process.on_host("one") == []
            assert process.tenants.describe()[0]["errors"] == []

    asyncio.run(main())


def test_what_the_host_does_not_let_go_of_is_named_with_whose_it_is():
    async def main():
        async with Process.open(CARRIED, timing=PATIENT) as process:
            virtual = await process.virtual()
            await virtual.put("widgets", "a")
            await process.add("one", virtual)
            process.host.fail("DELETE", "widgets", *[answering(500, "InternalError", "not today")] * 1000)
            await virtual.drop("widgets", "a")
            left = await drained(process, timeout=SHORT)
            assert left.startswith("Widget host-a (of default/a), Widget default/a: ")
            assert "not today" in left

    asyncio.run(main())


def test_an_object_of_whose_end_nobody_told_is_waited_for():
    async def main():
        async with Process.open(CARRIED, timing=PATIENT) as process:
            virtual = await process.virtual()
            await virtual.put("widgets", "a")
            await process.add("one", virtual)
            assert await drained(process, timeout=SHORT) == "Widget default/a, of whose end no watch told"
            waiting = asyncio.create_task(drained(process))
            await virtual.drop("widgets", "a")
            assert await waiting == ""

    asyncio.run(main())


def test_an_object_of_that_name_that_came_after_the_end_is_not_waited_for():
    async def main():
        async with Process.open(CARRIED, timing=PATIENT) as process:
            virtual = await process.virtual()
            await virtual.put("widgets", "a")
            await process.add("one", virtual)
            ended = virtual.revision + 1
            await virtual.drop("widgets", "a")
            # A client that was about to change it makes it anew, as recorders of events do.
            await virtual.put("widgets", "a")
            assert await drained(process, {("widgets", "default", "a"): ended}) == ""

    asyncio.run(main())


def test_what_was_put_back_must_have_been_told():
    async def main():
        async with Process.open(CARRIED, timing=PATIENT) as process:
            virtual = await process.virtual()
            await virtual.put("widgets", "a")
            await process.add("one", virtual)
            put = {("widgets", "default", "a"): virtual.revision + 1}
            assert await drained(process, {}, put, timeout=SHORT) == "Widget default/a, of whose return no watch told"
            waiting = asyncio.create_task(drained(process, {}, put))
            await virtual.put("widgets", "a", spec={"size": 1})
            assert await waiting == ""
            await virtual.drop("widgets", "a")
            await eventually(lambda: process.on_host("one") == [])
            left = await drained(process, {}, {("widgets", "default", "a"): NOW}, timeout=SHORT)
            assert left == "Widget default/a, of whose return no watch told"

    asyncio.run(main())


def test_host_objects_that_only_look_like_ours_do_not_count():
    async def main():
        async with Process.open(kind(lambda *_: ()), timing=PATIENT) as process:
            await process.host.put("widgets", "copy", "one", metadata={"annotations": {NAME: "a"}})
            await process.add("one", await process.virtual())
            assert process.tenants.describe()[0]["kinds"]["widgets"]["host"] == 1
            assert await drained(process) == ""

    asyncio.run(main())


def test_a_host_object_of_ours_that_nothing_stands_for_counts_whoever_deleted_what():
    async def main():
        async with Process.open(kind(lambda *_: ()), timing=PATIENT) as process:
            annotations = {NAME: "a", ownership.KIND: "Widget"}
            await process.host.put("widgets", "host-a", "one", metadata={"annotations": annotations})
            await process.add("one", await process.virtual())
            assert await drained(process, {}, timeout=SHORT) == "Widget host-a (of default/a)"

    asyncio.run(main())


def test_a_tenant_that_is_not_carried_is_told():
    async def main():
        async with Process.open(CARRIED, timing=PATIENT) as process:
            assert await drained(process, name="none") == "tenant 'none', which is not carried"

    asyncio.run(main())


def test_a_tenant_that_is_not_up_is_not_drained():
    async def main():
        host = HostSide(None, [CARRIED], timing=PATIENT, jitter=random.Random(1))
        around = Surroundings(kinds=[CARRIED], host=host, timing=PATIENT, jitter=random.Random(1), now=lambda: 1000.0)
        sync = TenantSync(tenant("one"), Server(url="http://127.0.0.1:1"), around)
        assert await sync.drained({}, timeout=SHORT) == "all of it: the tenant is not up"

    asyncio.run(main())


def test_a_tenant_whose_engine_fails_meanwhile_is_not_drained(monkeypatch):
    async def main():
        async with Process.open(CARRIED, timing=PATIENT) as process:
            virtual = await process.virtual()
            await virtual.put("widgets", "a")
            await process.add("one", virtual)
            process.host.fail("DELETE", "widgets", *[answering(500, "InternalError", "not today")] * 1000)
            await virtual.drop("widgets", "a")
            waiting = asyncio.create_task(drained(process))
            failed = process.tenants._carried["one"].sync
            await eventually(lambda: failed._queue._waiters)
            monkeypatch.setattr(failed._watches[0], "_sink", None)
            await virtual.put("widgets", "b")
            assert "host-a" in await waiting

    asyncio.run(main())


def test_a_tenant_is_read_anew_and_others_do_not_notice():
    async def main():
        async with Process.open(CARRIED, timing=PATIENT) as process:
            one, two = await process.virtual(), await process.virtual()
            await one.put("widgets", "a")
            await process.add("one", one)
            await process.add("two", two)
            syncs = {name: carried.sync for name, carried in process.tenants._carried.items()}
            asked = len(two.requests)
            # Back with the uid and the revision of the past, which a memory that goes on would not believe.
            dropped = await one.drop("widgets", "a")
            await drained(process)
            one._objects["widgets", "default", "a"] = dropped
            await process.tenants.restart("one")
            assert process.on_host("one") == ["host-a"]
            assert process.tenants._carried["one"].sync is not syncs["one"]
            assert process.tenants._carried["two"].sync is syncs["two"]
            assert len(two.requests) == asked
            await eventually(lambda: one.open_watches == 1)

    asyncio.run(main())


def test_who_can_not_be_read_anew_is_not_carried_any_more():
    async def main():
        timing = Timing(reconnect=Backoff(first=0.001, longest=0.01), synced=1.0)
        async with Process.open(CARRIED, timing=timing) as process:
            virtual = await process.virtual()
            await process.add("one", virtual)
            virtual.fail("GET", "widgets", *[answering(500, "InternalError", "etcd is away")] * 1000)
            with pytest.raises(NotSynced, match="etcd is away"):
                await process.tenants.restart("one")
            assert process.tenants.describe() == []
            assert await drained(process) == "tenant 'one', which is not carried"

    asyncio.run(main())


def test_only_who_is_carried_can_be_read_anew():
    async def main():
        async with Process.open(CARRIED) as process:
            with pytest.raises(NoSuchTenant, match="no tenant 'none'; there are: none"):
                await process.tenants.restart("none")

    asyncio.run(main())


def recalled(*outcomes, at, **arguments):
    """When keys are worked on if the queue is recalled at the times `at`."""
    work = Work(*outcomes)

    async def during(queue):
        for time in at:
            await asyncio.sleep(time - asyncio.get_running_loop().time())
            queue.recall()

    queue = tried(work, during=during, **arguments)
    return work.times, queue


@pytest.mark.parametrize(
    ("outcomes", "at", "times"),
    [
        ([Failed("no")] * 2, [0.5], [0, 0.5, 1.5]),
        ([Failed("no")] * 4, [3.5], [0, 1, 3, 3.5, 4.5]),
        ([Failed("429", retry_after=50.0)], [2], [0, 2]),
        ([Later(60, "token"), Later(60, "token")], [10], [0, 10, 70]),
        ([Refused("Invalid", "spec")], [10], [0]),
        ([DONE], [10], [0]),
        ([Failed("no")], [0.5, 0.6], [0, 0.5]),
    ],
    ids=["failed", "failed often", "too many requests", "later", "refused", "done", "twice"],
)
def test_recalled_is_who_waits_and_its_failures_are_forgotten(outcomes, at, times):
    found, queue = recalled(*outcomes, at=at)
    assert found == times
    assert "no" not in queue.errors.values()


def test_recalled_at_once_is_everybody_who_waits():
    found, _ = recalled(*[Failed("no")] * 3, at=[0.5], keys="abc")
    assert found == [0, 0, 0, 0.5, 0.5, 0.5]


def test_who_is_recalled_before_the_start_waits_for_it():
    found, queue = recalled(at=[10], start=False)
    assert found == []
    assert queue.depths == {}  # it was closed

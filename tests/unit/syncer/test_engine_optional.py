"""Kinds whose resource is a definition's: there or not, on either side, and not always."""

import asyncio
import contextlib
import logging
from dataclasses import replace

import pytest
from engine_parts import WIDGETS, kind
from fake_api import eventually
from test_engine_tenants import QUICK, Process
from vcluster_syncer.engine.store import Store
from vcluster_syncer.model import CreateVirtual, Key, Kind, Resource

SOON = replace(QUICK, absent=0.01)
OPTIONAL = kind(optional=True)
CLASSES = Resource("", "v1", "classes", "Class", namespaced=False)


def show(key, virtual, host, _world):
    if host is not None and virtual is None:
        return [CreateVirtual(CLASSES, {"metadata": {"name": key.name}, "kind": "Class"})]
    return []


SHOWN = Kind(
    resource=CLASSES, reconcile=show, host_key=lambda host, _: Key("", host["metadata"]["name"]), optional=True
)


@contextlib.asynccontextmanager
async def process(*kinds):
    async with Process.open(*(kinds or (OPTIONAL,)), timing=SOON) as running:
        yield running


async def told(virtual):
    return [one for (plural, _, _), one in virtual._objects.items() if plural == "events"]


def test_a_tenant_is_ready_where_neither_side_has_the_definition(caplog):
    caplog.set_level(logging.INFO)

    async def main():
        async with process() as running:
            running.host.undefined.add("widgets")
            virtual = await running.virtual()
            virtual.undefined.add("widgets")
            await running.add("one", virtual)
            [described] = running.tenants.describe()
            assert (described["ready"], described["errors"]) == (True, [])
            asked = len(virtual.requests)
            await eventually(lambda: len(virtual.requests) > asked + 3)
            assert running.tenants.describe()[0]["errors"] == []

    asyncio.run(main())
    assert not [record for record in caplog.records if "rests" in record.message]


def test_it_is_carried_when_the_definition_appears_and_gone_when_it_goes():
    async def main():
        async with process() as running:
            virtual = await running.virtual()
            virtual.undefined.add("widgets")
            await virtual.put("widgets", "a")
            await running.add("one", virtual)
            assert running.on_host("one") == []
            virtual.undefined.clear()
            await eventually(lambda: running.on_host("one") == ["host-a"])
            virtual.undefined.add("widgets")
            virtual.end_watches()
            await eventually(lambda: running.on_host("one") == [])
            virtual.undefined.clear()
            await eventually(lambda: running.on_host("one") == ["host-a"])

    asyncio.run(main())


def test_where_the_host_has_it_not_the_user_is_told_once_until_it_has():
    async def main():
        async with process() as running:
            running.host.undefined.add("widgets")
            virtual = await running.virtual()
            await virtual.put("widgets", "a")
            await running.add("one", virtual)
            await eventually(lambda: any(plural == "events" for plural, _, _ in virtual._objects))
            [event] = await told(virtual)
            assert (event["reason"], event["type"]) == ("NotOnHost", "Warning")
            assert "the host has no widgets" in event["message"]
            await virtual.put("widgets", "a", data="changed")
            await asyncio.sleep(0)
            running.host.undefined.clear()
            await eventually(lambda: running.on_host("one") == ["host-a"])
            assert len(await told(virtual)) == 1
            await eventually(lambda: running.tenants.describe()[0]["errors"] == [])

    asyncio.run(main())


def test_a_tenant_that_comes_later_learns_that_the_host_has_it_not():
    async def main():
        async with process() as running:
            running.host.undefined.add("widgets")
            first, second = await running.virtual(), await running.virtual()
            await running.add("one", first)
            await second.put("widgets", "a")
            await running.add("two", second)
            assert running.on_host("two") == []
            running.host.undefined.clear()
            await eventually(lambda: running.on_host("two") == ["host-a"])

    asyncio.run(main())


def test_what_the_host_shows_waits_for_the_virtual_definition_in_silence():
    async def main():
        async with process(SHOWN) as running:
            await running.host.put("classes", "c", namespace="", kind="Class")
            virtual = await running.virtual()
            virtual.undefined.add("classes")
            await running.add("one", virtual)
            assert await told(virtual) == []
            assert running.tenants.describe()[0]["errors"] == []
            virtual.undefined.clear()
            await eventually(lambda: virtual.names("classes") == ["c"])

    asyncio.run(main())


def test_a_patrol_notices_that_it_is_gone():
    async def main():
        async with process() as running:
            virtual = await running.virtual()
            await virtual.put("widgets", "a")
            await running.add("one", virtual)
            [watch] = running.tenants._carried["one"].sync._watches
            virtual.undefined.add("widgets")
            await watch.patrol()
            await eventually(lambda: running.on_host("one") == [])

    asyncio.run(main())


def test_a_kind_that_must_be_there_is_an_error_when_it_is_not():
    async def main():
        async with Process.open(timing=replace(SOON, synced=1.0)) as running:
            virtual = await running.virtual()
            virtual.undefined.add("widgets")
            with pytest.raises(Exception, match="could not find the requested resource"):
                await running.add("one", virtual)

    asyncio.run(main())


def test_a_store_that_vanished_takes_what_comes_after():
    seen = []
    store = Store(WIDGETS, lambda old, new: seen.append((old is None, new is None)), lambda: seen.append("there"))
    old = {"metadata": {"name": "a", "namespace": "", "uid": "1", "resourceVersion": "5"}}
    store.replace([old], 5)
    store.vanish()
    assert (store.is_served, len(store)) == (False, 0)
    store.upsert({"metadata": {"name": "a", "namespace": "", "uid": "2", "resourceVersion": "9"}})
    assert (store.is_served, len(store)) == (True, 1)
    assert seen == [(True, False), (False, True), (True, False), "there"]

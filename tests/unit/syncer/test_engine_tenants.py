import asyncio
import contextlib
import random
from dataclasses import replace

import pytest
from engine_parts import WIDGETS, kind, tenant
from fake_api import FakeApi, answering, eventually
from vcluster_syncer.engine.host_side import HostSide
from vcluster_syncer.engine.tenant import NotSynced, Surroundings
from vcluster_syncer.engine.tenants import NoSuchTenant, TenantExists, Tenants
from vcluster_syncer.engine.timing import Backoff, Timing
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.kubeconfig import KubeconfigError, Server
from vcluster_syncer.model import Key, Kind, Resource

SHELVES = Resource("", "v1", "shelves", "Shelf", namespaced=False)
QUICK = Timing(
    failed=Backoff(first=0.001, longest=0.01),
    reconnect=Backoff(first=0.001, longest=0.01),
    restart=Backoff(first=0.01, longest=0.01),
    synced=20.0,
    settled=20.0,
)


class Process:
    """A syncer process's engine on a fake host, with fake virtual clusters."""

    def __init__(self, host, tenants, stack):
        self.host = host
        self.tenants = tenants
        self._stack = stack

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, *kinds, timing=QUICK):
        kinds = kinds or (kind(),)
        jitter = random.Random(1)
        async with contextlib.AsyncExitStack() as stack:
            api = await stack.enter_async_context(FakeApi.open())
            client = await stack.enter_async_context(Client.open(api.server))
            host = HostSide(client, kinds, timing=timing, jitter=jitter)
            watching = asyncio.create_task(host.run())
            stack.callback(watching.cancel)
            around = Surroundings(kinds=kinds, host=host, timing=timing, jitter=jitter, now=lambda: 1000.0)
            tenants = await stack.enter_async_context(Tenants.open(around))
            yield cls(api, tenants, stack)
            assert not watching.done(), watching.exception()

    async def virtual(self):
        return await self._stack.enter_async_context(FakeApi.open())

    async def add(self, name, api):
        await self.tenants.add(tenant(name), api.server)

    def on_host(self, name):
        return sorted(
            one for (plural, namespace, one) in self.host._objects if (plural, namespace) == ("widgets", name)
        )


def test_a_tenant_that_comes_is_brought_to_where_it_should_be_before_it_is_reported_ready():
    async def main():
        async with Process.open() as process:
            virtual = await process.virtual()
            await virtual.put("widgets", "a")
            await process.host.put(
                "widgets", "host-old", "one", metadata={"annotations": {"widget.example/name": "old"}}
            )
            await process.add("one", virtual)
            assert process.on_host("one") == ["host-a"]
            await virtual.put("widgets", "b")
            await eventually(lambda: process.on_host("one") == ["host-a", "host-b"])
            await virtual.drop("widgets", "a")
            await eventually(lambda: process.on_host("one") == ["host-b"])

    asyncio.run(main())


def test_tenants_share_the_host_watch_and_get_only_their_own():
    async def main():
        async with Process.open() as process:
            one, two = await process.virtual(), await process.virtual()
            await asyncio.gather(process.add("one", one), process.add("two", two))
            await one.put("widgets", "a")
            await two.put("widgets", "b")
            await eventually(lambda: process.on_host("one") == ["host-a"] and process.on_host("two") == ["host-b"])
            assert process.host.open_watches == 1
            # Gone behind our back: only its own tenant makes it anew.
            await process.host.drop("widgets", "host-a", "one")
            await eventually(lambda: process.on_host("one") == ["host-a"])

    asyncio.run(main())


def test_a_tenant_that_is_removed_leaves_no_task_and_no_connection_and_others_go_on():
    async def main():
        async with Process.open() as process:
            one, two = await process.virtual(), await process.virtual()
            await process.add("two", two)
            await process.add("one", one)
            await process.tenants.remove("one")
            assert not [task for task in asyncio.all_tasks() if task.get_name().startswith(("one", "tenant one"))]
            await eventually(lambda: one.open_watches == 0)
            requests = len(one.requests)
            await one.put("widgets", "a")
            await two.put("widgets", "b")
            await eventually(lambda: process.on_host("two") == ["host-b"])
            assert process.on_host("one") == []
            assert len(one.requests) == requests
            with pytest.raises(NoSuchTenant, match="there are: two"):
                await process.tenants.remove("one")
            await process.add("one", one)
            assert process.on_host("one") == ["host-a"]

    asyncio.run(main())


def test_names_and_namespaces_are_taken_once():
    async def main():
        async with Process.open() as process:
            api = await process.virtual()
            await process.add("one", api)
            with pytest.raises(TenantExists, match="DELETE it first"):
                await process.add("one", api)

    asyncio.run(main())


def test_a_tenant_that_never_came_up_is_not_kept_and_the_reason_is_told():
    async def main():
        async with Process.open(timing=Timing(reconnect=QUICK.reconnect, synced=1.0)) as process:
            api = await process.virtual()
            api.fail("GET", "widgets", *[answering(500, "InternalError", "etcd is away")] * 1000)
            with pytest.raises(NotSynced, match=r"widgets: GET /api/v1/widgets: etcd is away.*`virtual.kubeconfig`"):
                await process.add("one", api)
            assert process.tenants.describe() == []
            api.faults.clear()
            await process.add("one", api)

    asyncio.run(main())


def test_a_tenant_removed_before_it_is_ready_says_so_to_whoever_added_it():
    async def main():
        async with Process.open() as process:
            api = await process.virtual()
            api.fail("GET", "widgets", *[answering(500, "InternalError")] * 1000)
            adding = asyncio.create_task(process.add("one", api))
            await eventually(lambda: api.requests)
            await process.tenants.remove("one")
            with pytest.raises(NoSuchTenant, match="removed before it was ready"):
                await adding

    asyncio.run(main())


def test_unusable_credentials_are_told_at_once():
    async def main():
        async with Process.open() as process:
            server = Server(url="https://127.0.0.1:1", certificate_authority="no PEM")
            with pytest.raises(KubeconfigError, match="not a PEM certificate"):
                await process.tenants.add(tenant("one"), server)
            assert process.tenants.describe() == []

    asyncio.run(main())


def test_a_kind_that_raises_fails_its_key_only():
    def broken(key, virtual, host, world):
        if key.name == "bad":
            raise ZeroDivisionError
        return kind().reconcile(key, virtual, host, world)

    async def main():
        async with Process.open(kind(broken), timing=replace(QUICK, settled=0.3)) as process:
            virtual = await process.virtual()
            await virtual.put("widgets", "bad")
            await virtual.put("widgets", "good")
            await process.add("one", virtual)
            await eventually(lambda: process.on_host("one") == ["host-good"])
            [told] = process.tenants.describe()
            assert told["ready"]
            assert told["kinds"]["widgets"] | {"virtual": 2, "host": 1} == told["kinds"]["widgets"]
            assert told["errors"] == ["Widget default/bad: ZeroDivisionError: "]

    asyncio.run(main())


def test_an_engine_that_fails_in_one_tenant_is_started_again_and_others_do_not_notice(monkeypatch):
    async def main():
        async with Process.open() as process:
            one, two = await process.virtual(), await process.virtual()
            await process.add("one", one)
            await process.add("two", two)
            carried = process.tenants._carried["one"]
            first = carried.sync
            monkeypatch.setattr(first._watches[0], "_sink", None)
            await one.put("widgets", "a")
            await eventually(lambda: process.on_host("one") == ["host-a"])
            assert carried.sync is not first
            told = {one["name"]: one for one in process.tenants.describe()}
            assert told["one"]["failures"] == 1
            assert "AttributeError" in told["one"]["last_failure"]
            assert told["two"]["failures"] == 0

    asyncio.run(main())


def test_a_fight_over_a_key_is_noticed_and_paused():
    def never_content(key, virtual, host, world):
        return kind().reconcile(key, virtual, host, world) or kind().reconcile(key, None, host, world)

    async def main():
        timing = Timing(settled=0.05, fight_passes=10, fight_pause=60.0)
        async with Process.open(kind(never_content), timing=timing) as process:
            virtual = await process.virtual()
            await virtual.put("widgets", "a")
            await process.add("one", virtual)

            def told():
                return process.tenants.describe()[0]["errors"]

            [error] = await eventually(told)
            assert "somebody else keeps changing it back" in error
            writes = len([method for method, _ in process.host.requests if method != "GET"])
            assert writes == 10

    asyncio.run(main())


def test_a_cluster_scoped_host_object_reaches_the_tenant_it_belongs_to():
    seen = []

    def shelf_key(host, tenant):
        return Key("", host["metadata"]["name"]) if host["metadata"]["name"].startswith(tenant.name) else None

    def note(key, _virtual, host, world):
        seen.append((world.tenant.name, key.name, host is not None))
        return ()

    async def main():
        shelves = Kind(resource=SHELVES, reconcile=note, host_key=shelf_key, watch_virtual=False)
        async with Process.open(shelves) as process:
            await process.host.put("shelves", "one-shelf", "", kind="Shelf")
            api = await process.virtual()
            await asyncio.gather(process.add("one", api), process.add("two", api))
            assert seen == [("one", "one-shelf", True)]
            await process.host.put("shelves", "two-shelf", "", kind="Shelf")
            await process.host.drop("shelves", "one-shelf", "")
            await eventually(lambda: len(seen) == 3)
            assert sorted(seen[1:]) == [("one", "one-shelf", False), ("two", "two-shelf", True)]
            assert WIDGETS.path() not in {path for _, path in process.host.requests}

    asyncio.run(main())


def test_a_patrol_looks_at_every_key_again():
    looked = []

    def note(key, virtual, host, world):
        looked.append(key)
        return kind().reconcile(key, virtual, host, world)

    async def main():
        async with Process.open(kind(note), timing=Timing(patrol=0.05)) as process:
            virtual = await process.virtual()
            await virtual.put("widgets", "a")
            await process.add("one", virtual)
            looked.clear()
            await eventually(lambda: len(looked) >= 2)
            # Gone without a word from the watch.
            process.host._objects.clear()
            process.host.revision += 1
            await eventually(lambda: process.on_host("one") == ["host-a"])

    asyncio.run(main())

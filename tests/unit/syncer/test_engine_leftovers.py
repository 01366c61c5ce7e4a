"""What ended leases left on a host that does not do what it is asked to."""

import asyncio
import contextlib
from dataclasses import replace

from aiohttp import web
from engine_parts import tenant
from fake_api import answering, eventually
from test_engine_tenants import QUICK, Process
from vcluster_syncer import ownership
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.model import CONFIGMAPS, PODS, Key, Kind
from vcluster_syncer.translate import carried, metadata

ONE = replace(tenant("one"), drains_in_background=True)
LONG = 30.0
GONE = {("pods", "default", "web"): 10**9, ("configmaps", "default", "web"): 10**9}
NO = answering(500, "InternalError", "not today")


def of(resource):
    def to_host(key, virtual, whose):
        return {"kind": resource.kind, "metadata": metadata.to_host(key, virtual, whose, resource), "spec": {}}

    return Kind(resource=resource, reconcile=carried.by(resource, to_host), host_key=carried.key_of(resource))


@contextlib.asynccontextmanager
async def leased(*, baseline=False, timing=QUICK):
    """A process that carries one tenant, with a pod and a config map of a lease that is over.

    A `baseline` with a pod has to be found by selectors, too, in every lease.
    """
    async with Process.open(of(PODS), of(CONFIGMAPS), timing=timing) as process:
        virtual = await process.virtual()
        await process.tenants.add(ONE, virtual.server)
        if baseline:
            await virtual.put("pods", "db", kind="Pod")
            await eventually(lambda: process.host._objects)
        for resource in (PODS, CONFIGMAPS):
            await virtual.put(resource.plural, "web", kind=resource.kind)
        await eventually(lambda: len(on_host(process)) == 2)
        yield process, virtual


def on_host(process, plural=None):
    """What is there of leases."""
    return [
        found
        for (there, _, _), found in process.host._objects.items()
        if plural in {None, there} and found["metadata"]["annotations"][ownership.NAME] != "db"
    ]


async def put_back(virtual):
    for plural in ("pods", "configmaps"):
        await virtual.drop(plural, "web")


def drained(process, *, timeout=LONG):
    return process.tenants.drained("one", GONE, timeout=timeout)


def told(process):
    (one,) = process.tenants.describe()
    return one["epoch"], one["left_over"]


def staying(process):
    """Answers to the deletion and the change of a pod that somebody's finalizer holds."""

    async def delete(_request):
        (pod,) = on_host(process, "pods")
        ending = {"deletionTimestamp": "2026-11-21T10:00:00Z", "deletionGracePeriodSeconds": 0, "finalizers": ["x"]}
        return web.json_response(await put(process, pod, **ending))

    async def patch(request):
        (pod,) = on_host(process, "pods")
        labels = {**pod["metadata"]["labels"], **(await request.json())["metadata"]["labels"]}
        kept = {name: value for name, value in labels.items() if value is not None}
        return web.json_response(await put(process, pod, labels=kept))

    return delete, patch


async def put(process, found, **changes):
    own = found["metadata"]
    fields = {name: value for name, value in own.items() if name != "resourceVersion"}
    return await process.host.put("pods", own["name"], own["namespace"], kind="Pod", metadata={**fields, **changes})


def test_what_is_left_goes_and_the_epoch_is_another():
    async def main():
        async with leased() as (process, virtual):
            await put_back(virtual)
            assert await drained(process) == ""
            await eventually(lambda: not on_host(process) and told(process) == (1, 0))
            await virtual.put("pods", "web", kind="Pod")
            await eventually(lambda: on_host(process, "pods"))
            (pod,) = on_host(process, "pods")
            assert pod["metadata"]["labels"][ownership.EPOCH_LABEL] == "1"

    asyncio.run(main())


def test_a_pod_that_can_not_be_asked_to_go_is_named_with_the_reason():
    async def main():
        async with leased(baseline=True) as (process, virtual):
            process.host.fail("DELETE", "pods", *[NO] * 1000)
            await put_back(virtual)
            left = await drained(process, timeout=1.0)
            (pod,) = on_host(process, "pods")
            assert left.startswith(f"Pod {pod['metadata']['name']}: ")
            assert "not today" in left
            process.host.faults.clear()
            assert await drained(process) == ""
            assert not on_host(process, "pods")

    asyncio.run(main())


def test_nobody_waits_for_pods_that_no_selector_finds():
    async def main():
        async with leased() as (process, virtual):
            process.host.fail("DELETE", "pods", *[NO] * 10)
            await put_back(virtual)
            assert await drained(process) == ""
            await eventually(lambda: not on_host(process) and told(process) == (1, 0))

    asyncio.run(main())


def test_nobody_waits_for_what_does_nothing_by_itself():
    async def main():
        async with leased() as (process, virtual):
            process.host.fail("DELETE", "configmaps", *[NO] * 10)
            await put_back(virtual)
            assert await drained(process) == ""
            await eventually(lambda: not on_host(process) and told(process) == (1, 0))

    asyncio.run(main())


def test_a_pod_that_stays_is_found_by_no_selector_before_the_next_lease_begins():
    async def main():
        async with leased(baseline=True) as (process, virtual):
            delete, patch = staying(process)
            # What was under way as the epoch ended may have asked already.
            process.host.fail("DELETE", "pods", delete, delete)
            process.host.fail("PATCH", "pods", patch)
            await put_back(virtual)
            assert await drained(process) == ""
            (pod,) = on_host(process, "pods")
            assert ownership.NAMESPACE_LABEL not in pod["metadata"]["labels"]
            assert told(process) == (1, 1)
            # What was asked once is not asked again, however often somebody looks.
            asked = len(process.host.requests)
            assert await drained(process) == ""
            assert [each for each in process.host.requests[asked:] if each[0] != "GET"] == []
            await process.host.drop("pods", pod["metadata"]["name"], "one")
            await eventually(lambda: told(process)[1] == 0)

    asyncio.run(main())


def test_a_pod_that_stays_and_can_not_be_changed_is_in_the_way():
    async def main():
        async with leased(baseline=True) as (process, virtual):
            delete, _ = staying(process)
            # What was under way as the epoch ended may have asked already.
            process.host.fail("DELETE", "pods", delete, delete)
            process.host.fail("PATCH", "pods", *[NO] * 1000)
            await put_back(virtual)
            assert "not today" in await drained(process, timeout=1.0)

    asyncio.run(main())


def test_what_shows_up_late_goes_too():
    async def main():
        async with leased() as (process, virtual):
            await put_back(virtual)
            assert await drained(process) == ""
            await eventually(lambda: not on_host(process))
            late = metadata.to_host(Key("default", "late"), {"metadata": {"uid": "u"}}, ONE, PODS)
            process.host.fail("DELETE", "pods", *[NO] * 3)
            await process.host.put("pods", late["name"], "one", kind="Pod", metadata=late)
            await eventually(lambda: not on_host(process))

    asyncio.run(main())


def test_a_tenant_that_is_read_anew_goes_on_in_its_epoch():
    async def main():
        async with leased(timing=Timing(restart=QUICK.restart)) as (process, virtual):
            await put_back(virtual)
            assert await drained(process) == ""
            await process.tenants.restart("one")
            assert told(process)[0] == 1

    asyncio.run(main())

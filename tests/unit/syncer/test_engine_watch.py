import asyncio
import random
from dataclasses import replace

import pytest
from aiohttp import web
from fake_api import FakeApi, answering, eventually, streaming
from vcluster_syncer.engine.store import Store
from vcluster_syncer.engine.timing import Backoff, Timing
from vcluster_syncer.engine.watch import Watch, list_all
from vcluster_syncer.kube.client import Client
from vcluster_syncer.model import Resource

WIDGETS = Resource("", "v1", "widgets", "Widget")
QUICK = Timing(reconnect=Backoff(first=0.001, longest=0.01))


def event(type_, name, revision, **fields):
    metadata = {"namespace": "default", "name": name, "uid": f"uid-{name}", "resourceVersion": str(revision)}
    return {"type": type_, "object": {"kind": "Widget", "metadata": metadata, **fields}}


def bookmark(revision):
    return {"type": "BOOKMARK", "object": {"kind": "Widget", "metadata": {"resourceVersion": str(revision)}}}


def watched(scenario, *, prepare=lambda api: None, timing=QUICK):
    """Run `scenario(api, watch, names)` while a watch runs."""

    async def main():
        async with FakeApi.open() as api, Client.open(api.server) as client:
            prepare(api)
            store = Store(WIDGETS, lambda old, new: None)
            watch = Watch(client, WIDGETS, store, timing=timing, jitter=random.Random(1))
            running = asyncio.create_task(watch.run())
            try:
                await asyncio.wait_for(watch.synced.wait(), 20)
                await scenario(api, watch, lambda: sorted(one["metadata"]["name"] for one in store.objects()))
            finally:
                running.cancel()
                await asyncio.wait([running])
            assert running.cancelled(), running.exception()

    asyncio.run(main())


def watch_requests(api):
    return [path for _, path in api.requests if "watch=1" in path]


def list_requests(api):
    return [path for _, path in api.requests if "watch=1" not in path]


def test_what_is_listed_and_what_changes_afterwards_is_remembered():
    async def scenario(api, _watch, names):
        await api.put("widgets", "a")
        await api.put("widgets", "b")
        await eventually(lambda: names() == ["a", "b"])
        await api.drop("widgets", "a")
        await eventually(lambda: names() == ["b"])

    watched(scenario)


@pytest.mark.parametrize(
    "pieces",
    [
        [event("ADDED", "a", 5)],
        [event("ADDED", "a", 5), b'{"type":"ADDED","object":{"metada'],
        [event("ADDED", "a", 5), b'{"type":"ADDED","object"\n'],
    ],
    ids=["between lines", "in mid-line", "with nonsense"],
)
def test_a_watch_that_is_cut_is_resumed_where_it_ended(pieces):
    async def scenario(api, watch, names):
        await eventually(lambda: len(watch_requests(api)) == 2)
        assert "resourceVersion=5" in watch_requests(api)[1]
        assert len(list_requests(api)) == 1
        assert names() == ["a"]
        assert watch.restarts == 1

    watched(scenario, prepare=lambda api: api.fail("GET", "widgets", streaming(*pieces), watch=True))


def test_a_bookmark_moves_the_point_from_which_a_watch_is_resumed():
    async def scenario(api, _watch, _names):
        await eventually(lambda: len(watch_requests(api)) == 2)
        assert "resourceVersion=77" in watch_requests(api)[1]

    watched(scenario, prepare=lambda api: api.fail("GET", "widgets", streaming(bookmark(77)), watch=True))


@pytest.mark.parametrize(
    "too_old",
    [
        answering(410, "Expired", "too old resource version"),
        streaming({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}),
    ],
    ids=["as the answer", "as an event"],
)
def test_a_version_that_is_too_old_leads_to_a_new_list(too_old):
    async def scenario(api, _watch, names):
        await eventually(lambda: len(list_requests(api)) == 2)
        await api.put("widgets", "a")
        await eventually(lambda: names() == ["a"])

    watched(scenario, prepare=lambda api: api.fail("GET", "widgets", too_old, watch=True))


def test_an_error_event_that_is_not_410_resumes_the_watch_without_a_list():
    async def scenario(api, _watch, _names):
        await eventually(lambda: len(watch_requests(api)) == 2)
        assert len(list_requests(api)) == 1

    broken = streaming({"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "etcd"}})
    watched(scenario, prepare=lambda api: api.fail("GET", "widgets", broken, watch=True))


def test_a_connection_that_falls_silent_is_replaced():
    silence = asyncio.Event

    async def for_ever(_request):
        await silence().wait()

    async def scenario(api, watch, names):
        await api.put("widgets", "a")
        await eventually(lambda: names() == ["a"])
        assert "no answer in time" in watch.last_error

    def prepare(api):
        api.fail("GET", "widgets", streaming(b"", then=for_ever), watch=True)

    watched(scenario, prepare=prepare, timing=replace(QUICK, silence=0.2))


def test_a_server_that_fails_is_asked_again_with_pauses_and_then_believed():
    failures = [answering(500, "InternalError")] * 5

    async def scenario(api, watch, names):
        await api.put("widgets", "a")
        await eventually(lambda: names() == ["a"])
        assert watch.restarts == 5

    watched(scenario, prepare=lambda api: api.fail("GET", "widgets", *failures))


def test_retry_after_is_obeyed():
    times = []

    async def noted(_request):
        times.append(asyncio.get_running_loop().time())
        headers = {"Retry-After": "1"}
        return web.json_response({"kind": "Status", "message": "slow down"}, status=429, headers=headers)

    async def scenario(_api, _watch, _names):
        assert asyncio.get_running_loop().time() - times[0] >= 1.0

    watched(scenario, prepare=lambda api: api.fail("GET", "widgets", noted))


def test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_loop():
    ends = [streaming()] * 1000

    async def scenario(api, _watch, _names):
        await asyncio.sleep(0.3)
        assert len(watch_requests(api)) < 12

    timing = replace(QUICK, reconnect=Backoff(first=0.05, longest=10))
    watched(scenario, prepare=lambda api: api.fail("GET", "widgets", *ends, watch=True), timing=timing)


def test_a_patrol_repairs_what_the_watch_did_not_tell():
    async def scenario(api, watch, names):
        await api.put("widgets", "a")
        await eventually(lambda: names() == ["a"])
        api._objects.clear()
        api.revision += 1
        await watch.patrol()
        assert names() == []

    watched(scenario)


def test_a_patrol_that_is_answered_late_does_not_undo_what_was_learnt_meanwhile():
    async def scenario(api, watch, names):
        answer, go = api._list("widgets", ""), asyncio.Event()

        async def late(_request):
            await go.wait()
            return answer

        api.fail("GET", "widgets", late)
        patrol = asyncio.create_task(watch.patrol())
        await eventually(lambda: len(list_requests(api)) == 2)
        await api.put("widgets", "a")
        await eventually(lambda: names() == ["a"])
        await watch.patrol()
        go.set()
        await patrol
        assert names() == ["a"]

    watched(scenario)


def test_a_list_is_read_in_pages_and_in_one_piece_when_its_token_expires():
    def page(names, **metadata):
        async def handler(_request):
            items = [event("", name, 1)["object"] for name in names]
            return web.json_response({"metadata": {"resourceVersion": "9", **metadata}, "items": items})

        return handler

    async def main():
        async with FakeApi.open() as api, Client.open(api.server) as client:
            api.fail("GET", "widgets", page("ab", **{"continue": "more"}), page("c"))
            objects, revision = await list_all(client, WIDGETS)
            assert ([one["metadata"]["name"] for one in objects], revision) == (["a", "b", "c"], 9)
            api.requests.clear()
            expired = answering(410, "Expired")
            api.fail("GET", "widgets", page("ab", **{"continue": "more"}), expired, page("abc"))
            objects, _ = await list_all(client, WIDGETS)
            assert [one["metadata"]["name"] for one in objects] == ["a", "b", "c"]
            assert [path for _, path in api.requests] == [
                "/api/v1/widgets?limit=500",
                "/api/v1/widgets?limit=500&continue=more",
                "/api/v1/widgets",
            ]

    asyncio.run(main())

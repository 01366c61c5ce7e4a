"""Talking to etcd: what goes over the wire, what of it is understood, and that any trouble is a `StoreError`."""

import asyncio
import base64
import contextlib
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from recycle_parts import Store
from vcluster_syncer.recycle.etcd import Etcd, StoreError, columns
from vcluster_syncer.recycle.stored import Stamp, collection_of

PREFIX = "/run/vc-1/"
MAP, SECRET = b"configmaps/default/a", b"secrets/default/b"


def encoded(raw):
    return base64.b64encode(raw).decode()


class EtcdServer:
    """etcd's JSON gateway over a store of whole keys. Numbers are texts, and what is empty is left out."""

    def __init__(self):
        self.store = Store()
        self.requests = []
        self.faults = []
        """Each next request is answered by the first of them, if there is any."""
        self.active = self.most_active = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, *, timeout=5.0):
        """The server, and an `Etcd` of `PREFIX` that talks to it."""
        server = cls()
        app = web.Application()
        app.router.add_post("/v3/kv/{call}", server._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
        with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # Unix sockets have short paths
            path = Path(directory) / "etcd.sock"
            await runner.setup()
            await web.UnixSite(runner, str(path)).start()
            try:
                async with Etcd.open(path, PREFIX, timeout=timeout) as etcd:
                    yield server, etcd
            finally:
                await runner.cleanup()

    def put(self, key, value=b"-"):
        self.store.put(PREFIX.encode() + key, value)

    async def _serve(self, request):
        body = await request.json()
        self.requests.append(body)
        self.active += 1
        self.most_active = max(self.active, self.most_active)
        try:
            if self.faults:
                return await self.faults.pop(0)(request)
            await asyncio.sleep(0)
            return web.json_response(getattr(self, "_" + request.match_info["call"])(body))
        finally:
            self.active -= 1

    def _range(self, body):
        start, end = (base64.b64decode(body[name]) for name in ("key", "range_end"))
        keys = sorted(key for key in self.store.values if start <= key < end)
        since = int(body.get("min_mod_revision", 0))
        found = [self._pair(key, body) for key in keys if self.store.stamps[key].modified >= since]
        answer = {"header": {"revision": str(self.store.revision)}, "count": str(len(keys)), "kvs": found}
        return {name: value for name, value in answer.items() if value not in ("0", [])}

    def _pair(self, key, body):
        stamp = self.store.stamps[key]
        pair = {"key": encoded(key), "create_revision": str(stamp.created), "mod_revision": str(stamp.modified)}
        value = b"" if body.get("keys_only") else self.store.values[key]
        return {**pair, "value": encoded(value)} if value else pair

    def _txn(self, body):
        put, delete = {}, []
        for operation in body["success"]:
            [(name, asked)] = operation.items()
            key = base64.b64decode(asked["key"])
            if name == "requestPut":
                put[key] = base64.b64decode(asked["value"])
            else:
                delete.append(key)
        return {"header": {"revision": str(self.store.commit(put=put, delete=delete))}, "succeeded": True}

    def _put(self, body):
        self.store.put(base64.b64decode(body["key"]), base64.b64decode(body["value"]))
        return {"header": {"revision": str(self.store.revision)}}


def test_everything_below_the_prefix_is_read_at_one_revision():
    async def main():
        async with EtcdServer.open() as (server, etcd):
            server.put(MAP, b"\0binary\xff")
            server.put(SECRET, b"")
            for foreign in (b"/run/vc-1", b"/run/vc-10/configmaps/default/a", b"/run/vc-0/x", b"/run/vc-10"):
                server.store.put(foreign)
            baseline = await etcd.baseline()
            assert baseline.values == {MAP: b"\0binary\xff", SECRET: b""}
            assert baseline.stamps == {MAP: Stamp(2, 2), SECRET: Stamp(3, 3)}
            assert baseline.revision == server.store.revision

    asyncio.run(main())


def test_what_somebody_else_read_is_the_same():
    async def main():
        async with EtcdServer.open() as (server, etcd):
            server.put(MAP, b"value")
            baseline = await etcd.baseline()
            assert etcd.parse(server._range(server.requests[-1])) == baseline

    asyncio.run(main())


def test_nothing_there_is_an_answer_too():
    async def main():
        async with EtcdServer.open() as (_server, etcd):
            assert (await etcd.baseline()).values == {}
            listing = await etcd.keys()
            assert (listing.total, listing.stamps, listing.revision) == (0, {}, 1)

    asyncio.run(main())


def test_what_was_written_later_is_listed_and_the_rest_is_counted():
    async def main():
        async with EtcdServer.open() as (server, etcd):
            server.put(MAP)
            server.put(SECRET)
            since = server.store.revision
            server.put(MAP, b"changed")
            server.put(b"new")
            changed = await etcd.changed_since(since)
            assert changed.stamps == {MAP: Stamp(2, since + 1), b"new": Stamp(since + 2, since + 2)}
            assert (changed.total, changed.revision) == (3, since + 2)
            assert all("value" not in each for each in server._range(server.requests[-1])["kvs"])
            everything = await etcd.keys()
            assert (len(everything.stamps), everything.total) == (3, 3)

    asyncio.run(main())


def test_keys_are_put_and_deleted_and_it_is_told_at_which_revisions():
    async def main():
        async with EtcdServer.open() as (server, etcd):
            server.put(MAP, b"old")
            server.put(SECRET)
            put = {MAP: b"new", b"configmaps/default/z": b""}
            written = await etcd.commit(put=put, delete=iter([SECRET, b"secrets/default/none"]))
            assert (await etcd.baseline()).values == put
            stamps = (await etcd.keys()).stamps
            assert {key: stamps[key].modified for key in put} == {key: written.keys[key] for key in put}
            assert stamps[MAP].created == 2
            assert written.collections["configmaps"] == max(stamp.modified for stamp in stamps.values())

    asyncio.run(main())


def test_nothing_to_write_is_not_asked_for():
    async def main():
        async with EtcdServer.open() as (server, etcd):
            written = await etcd.commit(put={}, delete=())
            assert (written.keys, written.collections, server.requests) == ({}, {}, [])

    asyncio.run(main())


def test_many_keys_of_a_collection_are_written_one_by_one_several_at_a_time():
    async def main():
        async with EtcdServer.open() as (server, etcd):
            put = {b"configmaps/default/%03d" % number: b"-" for number in range(100)}
            written = await etcd.commit(put=put, delete=())
            assert len(set(written.keys.values())) == len(server.requests) == 100
            assert written.collections == {"configmaps": max(written.keys.values())}
            assert 1 < server.most_active <= 16

    asyncio.run(main())


def test_that_it_can_be_written_is_proved_outside_of_what_clusters_have():
    async def main():
        async with EtcdServer.open() as (server, etcd):
            server.put(MAP)
            before = await etcd.keys()
            await etcd.prove_writable()
            await etcd.prove_writable()
            assert (await etcd.keys()).stamps == before.stamps
            assert len(server.store.values) == 2

    asyncio.run(main())


keys = st.builds(
    lambda collection, name: f"{collection}/{name}".encode(),
    st.sampled_from(["configmaps", "secrets", "services/specs", "services/endpoints", "example.com/widgets"]),
    st.integers(0, 9),
)


@given(st.sets(keys), st.sets(keys))
def test_every_key_is_in_one_transaction_and_none_has_two_of_a_collection(delete, put):
    put -= delete
    found = list(columns(sorted(delete), sorted(put)))
    assert Counter(key for column in found for key in column) == Counter(delete | put)
    for column in found:
        assert len({collection_of(key) for key in column}) == len(column)
    longest = Counter(map(collection_of, delete | put)).values()
    assert len(found) == max(longest, default=0)
    assert all(len(former) >= len(latter) for former, latter in pairwise(found))


def answering(status, **options):
    async def handler(_request):
        return web.Response(status=status, **options)

    return handler


async def silent(_request):
    await asyncio.Event().wait()


async def hanging_up(request):
    request.transport.abort()
    return web.Response()


def refusing(status, message):
    """As the gateway words an error of etcd."""
    return answering(status, text=f'{{"error":"{message}","message":"{message}"}}')


FULL, COMPACTED = "etcdserver: mvcc: database space exceeded", "etcdserver: mvcc: required revision has been compacted"
TROUBLE = {
    "space exceeded": (refusing(429, FULL), f"429: {FULL}"),
    "compacted": (refusing(400, COMPACTED), f"400: {COMPACTED}"),
    "no leader": (refusing(503, "etcdserver: request timed out"), "503: etcdserver: request timed out"),
    "no words": (answering(500, text="{}"), "500: {}"),
    "not JSON": (answering(200, text="<html>"), "200 b'<html>'"),
    "nothing": (answering(404), "404 b''"),
    "a list": (answering(200, text="[]"), r"200: \[\]"),
    "a text": (answering(500, text='"oops"'), "500: oops"),
    "cut": (hanging_up, "no answer: Broken: the connection ended when 0 of 1 requests were answered"),
    "silence": (silent, "no answer: TimeoutError"),
}
CALLS = {
    "baseline": lambda etcd: etcd.baseline(),
    "changed_since": lambda etcd: etcd.changed_since(1),
    "keys": lambda etcd: etcd.keys(),
    "commit": lambda etcd: etcd.commit(put={MAP: b"-"}, delete=[SECRET]),
    "prove_writable": lambda etcd: etcd.prove_writable(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("trouble", TROUBLE)
def test_any_trouble_is_told_as_what_it_is(call, trouble):
    fault, message = TROUBLE[trouble]

    async def main():
        async with EtcdServer.open(timeout=0.05 if fault is silent else 5.0) as (server, etcd):
            # Whatever is no answer may be asked again by the HTTP library.
            server.faults += [fault] * 3
            with pytest.raises(StoreError, match=message):
                await CALLS[call](etcd)

    asyncio.run(main())


def test_an_etcd_that_is_away_is_trouble_too():
    async def main():
        async with Etcd.open(Path("/tmp/nobody-listens.sock"), PREFIX) as etcd:
            with pytest.raises(StoreError, match="no answer: FileNotFoundError"):
                await etcd.keys()

    asyncio.run(main())


def test_a_commit_that_fails_halfway_tells_one_reason_and_writes_no_more():
    async def main():
        async with EtcdServer.open() as (server, etcd):
            server.faults += [refusing(429, FULL)] * 100
            with pytest.raises(StoreError, match="space exceeded"):
                await etcd.commit(put={b"configmaps/default/%03d" % number: b"-" for number in range(100)}, delete=())
            assert len(server.requests) <= 32

    asyncio.run(main())

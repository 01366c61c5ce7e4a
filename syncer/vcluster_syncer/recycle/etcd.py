"""The etcd behind a virtual cluster, through its JSON gateway on a Unix socket.

The one rule: every write moves forward, and every watch can follow it. No key is ever taken back to an old revision,
because the API server's caches would never notice; no two keys of a collection are written at one revision. https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import orjson

from vcluster_syncer.recycle.pipeline import Broken, Pipeline, Refused
from vcluster_syncer.recycle.stored import Baseline, Listing, Stamp, collection_of

_NO_ANSWER = (Broken, OSError, TimeoutError)


class StoreError(Exception):
    """The data store did not do what it was asked to; the message tells its reason."""


@dataclass(slots=True)
class Written:
    """At which revisions something was written: of each key, and the last of each collection."""

    keys: dict[bytes, int] = field(default_factory=dict)
    collections: dict[str, int] = field(default_factory=dict)

    def learn(self, keys: Iterable[bytes], revision: int) -> None:
        """Note one transaction; they may be told in any order."""
        for key in keys:
            self.keys[key] = revision
            collection = collection_of(key)
            self.collections[collection] = max(revision, self.collections.get(collection, 0))


class Etcd:
    """The keys below one prefix; keys go in and out without it."""

    def __init__(self, pipeline: Pipeline, prefix: str) -> None:
        self._pipeline = pipeline
        self._prefix = prefix.encode()
        # The first key behind all that start with the prefix, which ends in a slash, never in 0xff.
        self._end = self._prefix[:-1] + bytes([self._prefix[-1] + 1])

    @classmethod
    @asynccontextmanager
    async def open(cls, socket: Path, prefix: str, *, timeout: float = 10.0) -> AsyncIterator[Etcd]:
        """Open a connection to the etcd that listens on the Unix socket `socket`."""
        async with Pipeline.open(socket, timeout=timeout) as pipeline:
            yield cls(pipeline, prefix)

    async def baseline(self) -> Baseline:
        """Read everything there is, at one revision."""
        return self.parse(await self.read())

    async def read(self) -> dict[str, Any]:
        """Read everything there is, and return what etcd answered."""
        return await self._range()

    async def seed(self, entries: Mapping[bytes, bytes]) -> bool:
        """Put all `entries` in one transaction if there is nothing yet; tells whether that was so.

        Only for before anybody watches: afterwards it is `commit` that knows how to write many keys.
        """
        # A range that has no keys compares as one that was never created.
        range_end = _encode(self._end)
        nothing = {"key": _encode(self._prefix), "range_end": range_end, "target": "CREATE", "create_revision": 0}
        puts = [self._operation(key, value) for key, value in entries.items()]
        answer = await self._call("/v3/kv/txn", {"compare": [nothing], "success": puts})
        return bool(answer.get("succeeded", False))

    def parse(self, answer: Mapping[str, Any]) -> Baseline:
        """Read what etcd answered to somebody who asked for everything."""
        values, stamps = {}, {}
        for pair in answer.get("kvs", ()):
            key = self._key(pair)
            values[key] = base64.b64decode(pair.get("value", ""))
            stamps[key] = _stamp(pair)
        return Baseline(values=values, stamps=stamps, revision=int(answer["header"]["revision"]))

    async def changed_since(self, revision: int) -> Listing:
        """List what exists and was written after `revision`."""
        # https://etcd.io/docs/latest/learning/api/#range: `count` counts all keys in the range, filtered out or not.
        return self._listing(await self._range(keys_only=True, min_mod_revision=str(revision + 1)))

    async def keys(self) -> Listing:
        """List every key."""
        return self._listing(await self._range(keys_only=True))

    async def commit(self, *, put: Mapping[bytes, bytes], delete: Iterable[bytes]) -> Written:
        """Delete and put keys, no two of a collection at the same revision."""
        transactions = list(columns(delete, put))
        bodies = ({"success": [self._operation(key, put.get(key)) for key in keys]} for keys in transactions)
        written = Written()
        for keys, answer in zip(transactions, await self._calls("/v3/kv/txn", bodies), strict=True):
            written.learn(keys, int(answer["header"]["revision"]))
        return written

    async def prove_writable(self) -> None:
        """Write a key outside the cluster: a store that is full still deletes, and would pass for a sound one."""
        key = b"/recycled" + self._prefix
        await self._call("/v3/kv/put", {"key": _encode(key), "value": _encode(b"1")})

    def _operation(self, key: bytes, value: bytes | None) -> dict[str, Any]:
        stored = _encode(self._prefix + key)
        if value is None:
            return {"requestDeleteRange": {"key": stored}}
        return {"requestPut": {"key": stored, "value": _encode(value)}}

    async def _range(self, **options: object) -> dict[str, Any]:
        body = {"key": _encode(self._prefix), "range_end": _encode(self._end), **options}
        return await self._call("/v3/kv/range", body)

    async def _call(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        return (await self._calls(path, [body]))[0]

    async def _calls(self, path: str, bodies: Iterable[Mapping[str, object]]) -> list[dict[str, Any]]:
        try:
            answers = await self._pipeline.send(path, map(orjson.dumps, bodies))
        except _NO_ANSWER as error:
            raise StoreError(f"etcd gave no answer: {type(error).__name__}: {error}") from error
        except Refused as error:
            raise _refusal(error.answer.status, error.answer.body) from error
        return [_understood(answer) for answer in answers]

    def _listing(self, answer: Mapping[str, Any]) -> Listing:
        return Listing(
            revision=int(answer["header"]["revision"]),
            total=int(answer.get("count", 0)),
            stamps={self._key(pair): _stamp(pair) for pair in answer.get("kvs", ())},
        )

    def _key(self, pair: Mapping[str, str]) -> bytes:
        return base64.b64decode(pair["key"])[len(self._prefix) :]


def _understood(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        raise _refusal(200, body)
    return said


def _refusal(status: int, body: bytes) -> StoreError:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return StoreError(f"etcd answered {status} {body[:200]!r}")
    # Such as "etcdserver: mvcc: database space exceeded".
    return StoreError(f"etcd answered {status}: {said.get('message', said) if isinstance(said, dict) else said}")


def columns(delete: Iterable[bytes], put: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Arrange keys into transactions such that none has two keys of the same collection.

    All changes of a transaction have one revision. A watch that breaks is resumed after the last revision it told, so
    of two changes of one collection at one revision the second would be lost to whoever resumes in between; and the
    controller manager, which does not read while it is frozen, does.
    """
    rows: dict[str, list[bytes]] = {}
    for key in (*delete, *put):
        rows.setdefault(collection_of(key), []).append(key)
    for column in zip_longest(*rows.values()):
        yield [key for key in column if key is not None]


def _stamp(pair: Mapping[str, str]) -> Stamp:
    return Stamp(int(pair["create_revision"]), int(pair["mod_revision"]))


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()

"""The etcd behind a virtual cluster, through its JSON gateway on a Unix socket.

The one rule: every write is a transaction that moves forward; no key is ever taken back to an old revision, because the
API server's caches would never notice. https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from vcluster_syncer.recycle.stored import Baseline, Listing, Stamp

# Far below etcd's limits here (20 000 operations, 64 MiB), so that one transaction never stalls the other clusters.
_OPERATIONS = 2000
_BYTES = 8 << 20
_NO_ANSWER = (aiohttp.ClientError, OSError, TimeoutError)


class StoreError(Exception):
    """The data store did not do what it was asked to; the message tells its reason."""


class Etcd:
    """The keys below one prefix; keys go in and out without it."""

    def __init__(self, session: aiohttp.ClientSession, prefix: str) -> None:
        self._session = session
        self._prefix = prefix.encode()
        # The first key behind all that start with the prefix, which ends in a slash, never in 0xff.
        self._end = self._prefix[:-1] + bytes([self._prefix[-1] + 1])

    @classmethod
    @asynccontextmanager
    async def open(cls, socket: Path, prefix: str, *, timeout: float = 10.0) -> AsyncIterator[Etcd]:
        """Open a connection to the etcd that listens on the Unix socket `socket`."""
        async with aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(socket)),
            timeout=aiohttp.ClientTimeout(total=timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        ) as session:
            yield cls(session, prefix)

    async def baseline(self) -> Baseline:
        """Read everything there is, at one revision."""
        return self.parse(await self._range())

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

    async def commit(self, *, put: Mapping[bytes, bytes], delete: Iterable[bytes]) -> tuple[int, dict[bytes, int]]:
        """Delete, then put, in as few transactions as will do; returns the last revision, and that of each put."""
        revision = 0
        written_at: dict[bytes, int] = {}
        for operations in _portions(self._operations(put, delete)):
            answer = await self._call("/v3/kv/txn", {"success": operations})
            revision = int(answer["header"]["revision"])
            for operation in operations:
                if "requestPut" in operation:
                    written_at[self._key(operation["requestPut"])] = revision
        return revision, written_at

    def _operations(self, put: Mapping[bytes, bytes], delete: Iterable[bytes]) -> Iterable[dict[str, Any]]:
        for key in delete:
            yield {"requestDeleteRange": {"key": _encode(self._prefix + key)}}
        for key, value in put.items():
            yield {"requestPut": {"key": _encode(self._prefix + key), "value": _encode(value)}}

    async def _range(self, **options: object) -> dict[str, Any]:
        body = {"key": _encode(self._prefix), "range_end": _encode(self._end), **options}
        return await self._call("/v3/kv/range", body)

    async def _call(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        try:
            async with self._session.post(f"http://etcd{path}", data=orjson.dumps(body)) as response:
                text = await response.read()
        except _NO_ANSWER as error:
            raise StoreError(f"etcd gave no answer: {type(error).__name__}: {error}") from error
        try:
            answer = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise StoreError(f"etcd answered {response.status} {text[:200]!r}") from error
        if response.status != 200 or not isinstance(answer, dict):
            # Such as "etcdserver: mvcc: database space exceeded".
            raise StoreError(f"etcd answered {response.status}: {answer.get('message', answer)}")
        return answer

    def _listing(self, answer: Mapping[str, Any]) -> Listing:
        return Listing(
            revision=int(answer["header"]["revision"]),
            total=int(answer.get("count", 0)),
            stamps={self._key(pair): _stamp(pair) for pair in answer.get("kvs", ())},
        )

    def _key(self, pair: Mapping[str, str]) -> bytes:
        return base64.b64decode(pair["key"])[len(self._prefix) :]


def _portions(operations: Iterable[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    portion: list[dict[str, Any]] = []
    size = 0
    for operation in operations:
        weight = sum(map(len, next(iter(operation.values())).values()))
        if portion and (len(portion) >= _OPERATIONS or size + weight > _BYTES):
            yield portion
            portion, size = [], 0
        portion.append(operation)
        size += weight
    if portion:
        yield portion


def _stamp(pair: Mapping[str, str]) -> Stamp:
    return Stamp(int(pair["create_revision"]), int(pair["mod_revision"]))


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()

"""Reading and writing etcd directly: how a control plane's state is cloned from a template and thrown away.

The one rule: every write is a transaction that only moves forward. It speaks etcd's own JSON gateway
(https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/), so that no gRPC stack is needed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_vcluster.controlplane.http import Client


class Datastore:
    """One connection to the etcd behind a Unix socket; not for use by several threads at once."""

    def __init__(self, socket: Path, *, timeout: float = 30.0) -> None:
        self._client = Client.over_unix(socket, timeout=timeout)

    def is_healthy(self) -> bool:
        """Tell whether etcd answers and has elected itself."""
        try:
            status, text = self._client.status("/health")
        except OSError:
            return False
        return status == 200 and '"true"' in text

    def revision(self) -> int:
        """The store's present revision, which is what Kubernetes calls a resourceVersion."""
        answer = self._client.call("POST", "/v3/kv/range", {"key": _encode(b"\0"), "limit": 1, "keys_only": True})
        return int(answer["header"]["revision"])

    def changed_since(self, prefix: str, revision: int) -> tuple[int, list[bytes], int]:
        """Return the present revision, the keys under `prefix` written after `revision`, and the number of all keys."""
        start = prefix.encode()
        options = {"keys_only": True, "min_mod_revision": str(revision + 1)}
        answer = self._client.call(
            "POST", "/v3/kv/range", {"key": _encode(start), "range_end": _encode(_after(start)), **options}
        )
        keys = [base64.b64decode(pair["key"])[len(start) :] for pair in answer.get("kvs", ())]
        # etcd counts all keys in the range, those that the revision filters out too.
        return int(answer["header"]["revision"]), keys, int(answer.get("count", 0))

    def read(self, prefix: str) -> dict[bytes, bytes]:
        """Read all keys under `prefix`, and return them without it, with their values."""
        return decoded(self.read_raw(prefix), prefix)

    def read_raw(self, prefix: str) -> dict[str, Any]:
        """Read all keys under `prefix` as etcd's gateway gives them, revisions and all."""
        start = prefix.encode()
        return self._client.call("POST", "/v3/kv/range", {"key": _encode(start), "range_end": _encode(_after(start))})

    def seed(self, prefix: str, entries: Mapping[bytes, bytes]) -> bool:
        """Put all `entries` under `prefix` in one transaction if nothing is there; tell whether that was so."""
        start = prefix.encode()
        # A range that has no keys compares as one that was never created.
        nothing = {"key": _encode(start), "range_end": _encode(_after(start)), "target": "CREATE", "create_revision": 0}
        puts = [
            {"requestPut": {"key": _encode(start + key), "value": _encode(value)}} for key, value in entries.items()
        ]
        answer = self._client.call("POST", "/v3/kv/txn", {"compare": [nothing], "success": puts})
        return bool(answer.get("succeeded", False))

    def delete(self, prefix: str) -> int:
        """Delete all keys under `prefix`, and return how many there were."""
        start = prefix.encode()
        answer = self._client.call(
            "POST", "/v3/kv/deleterange", {"key": _encode(start), "range_end": _encode(_after(start))}
        )
        return int(answer.get("deleted", 0))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def decoded(answer: Mapping[str, Any], prefix: str) -> dict[bytes, bytes]:
    """Keys without `prefix`, and their values, of what `read_raw` returned."""
    start = len(prefix.encode())
    return {
        base64.b64decode(pair["key"])[start:]: base64.b64decode(pair.get("value", "")) for pair in answer.get("kvs", ())
    }


def without(entries: Mapping[bytes, bytes], prefixes: Iterable[bytes]) -> dict[bytes, bytes]:
    """Copy `entries` without those whose key starts with one of `prefixes`."""
    unwanted = tuple(prefixes)
    return {key: value for key, value in entries.items() if not key.startswith(unwanted)}


def _after(prefix: bytes) -> bytes:
    # The first key behind all keys that start with `prefix`; our prefixes end in "/", never in 0xff.
    return prefix[:-1] + bytes([prefix[-1] + 1])


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()

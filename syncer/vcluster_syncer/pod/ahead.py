"""Writing the state to begin with while nothing of the syncer is imported yet: a second of a cluster's start.

The one rule: the standard library only, and no word of what goes wrong. Whatever is not done here `startup` does, which
waits longer and tells what for; it finds done what was done here.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PATIENCE_SECONDS = 2.0
_ANSWER_SECONDS = 10.0
_PAUSE_SECONDS = 0.005
_OPTION, _GIVEN = "--config", 2


def begin(arguments: Sequence[str], *, patience: float = _PATIENCE_SECONDS) -> bool:
    """Seed the store that the configuration in `arguments` tells of, and open it; tells whether that was done."""
    with contextlib.suppress(OSError, EOFError, ValueError, KeyError, TypeError, http.client.HTTPException):
        pod = _pod(arguments)
        if pod is None or "seed" not in pod:
            return False
        store = pod["store"]
        etcd, opened = Path(store["etcd"]), Path(store["open"])
        transaction = _transaction(Path(pod["seed"]), str(store["prefix"]))
        if opened.is_symlink() or not _listens(etcd, patience) or not _commit(etcd, transaction):
            return False
        # As `store.open_up` does; nobody else is here who could.
        opened.symlink_to(etcd)
        return True
    return False


def _pod(arguments: Sequence[str]) -> Mapping[str, Any] | None:
    # Just as the chart starts us; whoever says more wants something else.
    if len(arguments) != _GIVEN or arguments[0] != _OPTION:
        return None
    document = json.loads(Path(arguments[1]).read_bytes())
    return document.get("pod") if isinstance(document, dict) else None


def _transaction(seed: Path, prefix: str) -> bytes:
    """What puts all keys of a seed below a prefix, if there are none, in the words of etcd's gateway."""
    entries = json.loads(gzip.decompress(seed.read_bytes()))["entries"]
    first = _encode(prefix)
    behind = _encode(f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}")
    nothing = {"key": first, "range_end": behind, "target": "CREATE", "create_revision": 0}
    puts = [{"requestPut": {"key": _encode(prefix + key), "value": value}} for key, value in entries.items()]
    return json.dumps({"compare": [nothing], "success": puts}).encode()


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _listens(path: Path, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            return True
        time.sleep(_PAUSE_SECONDS)
    return False


def _commit(etcd: Path, transaction: bytes) -> bool:
    connection = http.client.HTTPConnection("localhost", timeout=_ANSWER_SECONDS)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(_ANSWER_SECONDS)
        connection.sock.connect(str(etcd))
        connection.request("POST", "/v3/kv/txn", body=transaction, headers={"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        return bool(answer.get("succeeded"))
    finally:
        connection.close()

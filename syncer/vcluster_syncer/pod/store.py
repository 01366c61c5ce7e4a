"""Filling the pod's data store before the API server sees it.

The one rule: the API server initializes itself meanwhile, and finds its store when that is as it is to be: at a socket
that is not there before. So it never makes a state of its own where one is to be seeded.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from vcluster_syncer.pod_options import Store
from vcluster_syncer.recycle.etcd import Etcd, StoreError

_TIMEOUT = 10.0


class BadSeed(Exception):
    """A seed can't be used; the message tells the file."""


async def answers(store: Store) -> None:
    """Return if somebody listens where etcd is to be; StoreError."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            _, writer = await asyncio.open_unix_connection(str(store.etcd))
    except OSError as error:
        raise StoreError(f"nobody listens at {store.etcd} yet: {error.strerror or error}") from error
    writer.close()


async def seed(store: Store, path: Path) -> bool:
    """Have etcd hold what the file at `path` tells, if it holds nothing; tells whether that was so.

    StoreError, or BadSeed.
    """
    entries = read(path)
    async with Etcd.open(store.etcd, store.prefix, timeout=_TIMEOUT) as etcd:
        return await etcd.seed(entries)


def read(path: Path) -> Mapping[bytes, bytes]:
    """Read a seed: gzip of JSON, keys without their prefix, and values in base64."""
    try:
        document: Any = orjson.loads(gzip.decompress(path.read_bytes()))
        return {key.encode(): base64.b64decode(value, validate=True) for key, value in document["entries"].items()}
    except (OSError, EOFError, orjson.JSONDecodeError, binascii.Error) as error:
        raise BadSeed(f"seed {path} can't be read: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise BadSeed(f'seed {path} is not of the form {{"entries": {{key: base64}}}}: {error!r}') from error


async def open_up(store: Store) -> None:
    """Let the API server have its store."""
    link = store.open.with_name(f"{store.open.name}.new")
    link.unlink(missing_ok=True)
    link.symlink_to(store.etcd)
    # At once, also where a predecessor of this process has made one: somebody may be connecting.
    link.replace(store.open)

"""Opening the embedded backplane, step by step in the order in which the first test of a run waits for it.

The one rule: etcd is on its way before anything is imported that etcd's own start doesn't need, and nobody waits for
it who doesn't talk to it yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vcluster.controlplane import etcd, key_maker
from pytest_vcluster.controlplane.component import RunningComponent, Starter
from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.controlplane.last_words import ended_early, tail
from pytest_vcluster.errors import Timeout
from pytest_vcluster.hosts import binaries
from pytest_vcluster.settings import Settings
from pytest_vcluster.toolchain import Component, Sources

if TYPE_CHECKING:
    from pytest_vcluster.hosts.backplane import EmbeddedBackplane

_POLL_SECONDS = 0.005
_NEEDED_LATER = ("pytest_vcluster.hosts.virtual", "pytest_vcluster.hosts.embedded")


@contextlib.asynccontextmanager
async def opened(
    settings: Settings,
    directory: Path,
    *,
    starter: Starter,
    register: Callable[[int], None],
    progress: Callable[[str], None],
    will: Callable[[LastWill], None],
    begun: key_maker.KeyMaker | None = None,
) -> AsyncIterator[EmbeddedBackplane]:
    """Open the embedded backplane below `directory` (which must exist) and close it without a trace.

    `register` hears of every process not started through `starter`; `progress` of everything that takes long. No `will`
    is needed: all that runs are processes.
    """
    sources = Sources.from_environ(os.environ, offline=settings.offline)
    wanted = binaries.wanted_for_host(binaries.newest(settings.versions))
    # One request for all that the run is sure to need, so that a first build is one piece of work with one progress.
    found = await binaries.have(wanted, sources, register=register, progress=progress)
    store = await starter.start(etcd.component(binary=found[Component.ETCD].path, directory=directory))
    try:
        # While etcd starts.
        from pytest_vcluster.hosts.backplane import EmbeddedBackplane  # noqa: PLC0415

        listening = asyncio.create_task(_listening(store, directory, timeout=settings.timeout))
        backplane = EmbeddedBackplane(
            settings,
            directory,
            starter=starter,
            register=register,
            progress=progress,
            sources=sources,
            listening=listening,
            make_keys=key_maker.make_here if begun is None else begun.make,
        )
        backplane._watch([store], backplane.deaths, backplane.failed)
        importing = asyncio.create_task(_import_rest(backplane.on_its_way))
        try:
            yield backplane
        finally:
            await backplane._close()
            for task in (listening, importing):
                task.cancel()
            await asyncio.gather(listening, importing, return_exceptions=True)
    finally:
        store.kill()
        await store.exited


async def _import_rest(on_its_way: asyncio.Event) -> None:
    # From then on this process has nothing to do but to wait for the first API server.
    await on_its_way.wait()
    for name in _NEEDED_LATER:
        await asyncio.to_thread(importlib.import_module, name)


async def _listening(store: RunningComponent, directory: Path, *, timeout: float) -> None:
    # From then on whoever connects is served as soon as etcd has elected itself. An API server that looks for it before
    # sleeps for a second; but it is at least as long busy with itself first.
    began = time.monotonic()
    while time.monotonic() - began < timeout:
        if store.exited.done():
            raise ended_early(store)
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(etcd.socket(directory)))
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise Timeout("etcd's start", elapsed=timeout, last_seen=tail(store.log))

"""The lifetime of a kind cluster: one for a run, gone with it, or one by name that runs share and leave behind.

The one rule: nothing is made before somebody is charged with removing it. A run's own cluster is in its last will from
before its creation until after its end; a shared one only while it is being made.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from pytest_vcluster.controlplane.component import Starter
from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.errors import VClusterError
from pytest_vcluster.hosts.kind import asked, naming, sharing
from pytest_vcluster.hosts.kind.docker import Docker
from pytest_vcluster.hosts.kind.host import KindHost
from pytest_vcluster.hosts.kind.site import Site
from pytest_vcluster.settings import Settings
from pytest_vcluster.toolchain.model import cache_folder

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    *,
    directory: Path,
    starter: Starter,
    register: Callable[[int], None],
    progress: Callable[[str], None],
    will: Callable[[LastWill], None],
    kind_binary: Path,
    environ: Mapping[str, str] = os.environ,
) -> AsyncIterator[KindHost]:
    """Have a kind cluster with ready nodes for as long as the context is open, and longer if it is shared.

    `directory` is one below that of the run, whose name is the run's. `will` is told what to remove when nobody is left
    to do it, before it is made. Raises SettingsError, HostError or Timeout, before anything is made where that can be.
    """
    document = asked.check(settings)
    docker = Docker.of(environ, register=register)
    info = await docker.info()
    site = Site(
        settings=settings,
        document=document,
        docker=docker,
        info=info,
        kind=kind_binary,
        directory=directory,
        starter=starter,
        progress=progress,
    )
    if settings.reuse is not None:
        yield await sharing.obtain(site, settings.reuse, locks=cache_folder(environ) / "kind", will=will)
        return
    run = directory.parent
    name = naming.of_run(run)
    will(site.will(name))
    await site.remove(name)  # of a backplane before this one, if that could not
    try:
        await site.create(name, mark=naming.mark(run.parent))
        yield await site.described(name, shared=False)
    finally:
        try:
            await site.remove(name)
        except VClusterError:  # must not hide why we are here; the last will tries again
            _log.exception("the kind cluster %s could not be removed yet", name)

"""Puts the syncer together: the host's client and watches, the tenants, the admin API.

The one rule: the only place where the parts meet the real world: the clock, chance, and the tuple of kinds.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import replace

from vcluster_syncer import admin
from vcluster_syncer.config import Config
from vcluster_syncer.engine.host_side import HostSide
from vcluster_syncer.engine.tenant import Surroundings
from vcluster_syncer.engine.tenants import Tenants
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.gateway.gateways import Gateways
from vcluster_syncer.gateway.guarded import guarded
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.kubeconfig import load
from vcluster_syncer.model import Kind
from vcluster_syncer.recycle.recyclers import Recyclers
from vcluster_syncer.switches import selected

_log = logging.getLogger(__name__)


async def serve(config: Config, kinds: Sequence[Kind], *, stop: asyncio.Event, timing: Timing | None = None) -> None:
    """Run a syncer of those of `kinds` that `config` turns on, until `stop` is set; ConfigError if it names others.

    `timing` is for tests; the patrol period is the configuration's.
    """
    kinds = selected(kinds, config.switches)
    timing = replace(timing or Timing(), patrol=config.patrol_seconds)
    # Jitter only spreads load; nothing secret hangs on it.
    jitter = random.Random()  # noqa: S311
    host_server = load(config.host_kubeconfig)
    async with Client.open(host_server, timeout=timing.request) as client:
        host = HostSide(client, kinds, namespace=config.host_namespace, timing=timing, jitter=jitter)
        around = Surroundings(kinds=kinds, host=host, timing=timing, jitter=jitter, now=time.time)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(host.run(), name="host")
            async with (
                Tenants.open(around) as tenants,
                Recyclers.open(tenants, timeout=timing.request) as recyclers,
                Gateways.open(tenants, host_server) as gateways,
                guarded(config.kubelet),
                admin.served(tenants, recyclers, gateways, config.admin_socket),
            ):
                _log.info("ready; admin API at %s", config.admin_socket)
                await stop.wait()
            watching.cancel()

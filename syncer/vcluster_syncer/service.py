"""Puts the syncer together: the host's client and watches, the tenants, the admin API, and the pod if it is in one.

The one rule: the only place where the parts meet the real world: the clock, chance, the environment, and the tuple of
kinds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from vcluster_syncer import admin
from vcluster_syncer.admin import Doors
from vcluster_syncer.carriage import Carriage, OwningService
from vcluster_syncer.config import Config
from vcluster_syncer.engine.host_side import HostSide
from vcluster_syncer.engine.tenant import Surroundings
from vcluster_syncer.engine.tenants import Tenants
from vcluster_syncer.engine.timing import Timing
from vcluster_syncer.gateway.gateways import Gateways
from vcluster_syncer.gateway.guarded import guarded
from vcluster_syncer.gateway.meters import Meters
from vcluster_syncer.kube import in_cluster, kubeconfig
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.model import Kind
from vcluster_syncer.pod.heartbeat import Keeper
from vcluster_syncer.pod.startup import Place, Startup
from vcluster_syncer.recycle.recyclers import Recyclers
from vcluster_syncer.switches import selected

_log = logging.getLogger(__name__)


async def serve(
    config: Config,
    kinds: Sequence[Kind],
    *,
    stop: asyncio.Event,
    timing: Timing | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Run a syncer of those of `kinds` that `config` turns on, until `stop` is set; ConfigError if it names others.

    `timing` is for tests; the patrol period is the configuration's.
    """
    kinds = selected(kinds, config.switches)
    timing = replace(timing or Timing(), patrol=config.patrol_seconds)
    # Jitter only spreads load; nothing secret hangs on it.
    jitter = random.Random()  # noqa: S311
    host_server, home = _host(config, environment)
    # Who makes namespaces has his objects in all of them.
    watched = "" if config.switches.get("to_host.namespaces") else home
    doors = Doors(socket=config.admin_socket, endpoint=config.admin_endpoint, probes=config.probes)
    async with Client.open(host_server, timeout=timing.request) as client:
        owner = OwningService(client, namespace=home, name=config.owner) if config.owner else None
        host = HostSide(client, kinds, namespace=watched, timing=timing, jitter=jitter)
        around = Surroundings(kinds=kinds, host=host, timing=timing, jitter=jitter, now=time.time)
        async with asyncio.TaskGroup() as tasks:
            watching = [tasks.create_task(host.run(), name="host")]
            async with (
                Tenants.open(around) as tenants,
                Recyclers.open(tenants, timeout=timing.request) as recyclers,
                Gateways.open(tenants, host_server) as gateways,
                Meters.open(tenants, client, timeout=timing.request) as meters,
                guarded(config.kubelet),
            ):
                carriage = Carriage(tenants, recyclers, gateways, meters, owner)
                startup = keeper = None
                if config.pod is not None:
                    place = Place(namespace=home, address=in_cluster.variable(environment, "POD_IP"))
                    startup = Startup(config.pod, carriage, place, host=client, timeout=timing.request, jitter=jitter)
                if config.heartbeat is not None and owner is not None:
                    keeper = Keeper(client, config.heartbeat, owner, namespace=home, clock=time.monotonic)

                def troubles() -> list[str]:
                    ending = [keeper.gone] if keeper is not None and keeper.gone else []
                    return ending + list(startup.troubles() if startup is not None else ())

                async with admin.served(carriage, doors, troubles=troubles):
                    _log.info("ready; admin API at %s", doors)
                    watching += [tasks.create_task(part.run()) for part in (startup, keeper) if part is not None]
                    await stop.wait()
                    for task in watching[1:]:
                        task.cancel()
            watching[0].cancel()


def _host(config: Config, environment: Mapping[str, str]) -> tuple[Server, str]:
    """The host, and the namespace of it that is ours; none where there are many."""
    if config.host_service_account is not None:
        home = config.host_namespace or in_cluster.namespace(environment)
        return in_cluster.load(config.host_service_account, environment), home
    assert config.host_kubeconfig is not None
    return kubeconfig.load(config.host_kubeconfig), config.host_namespace

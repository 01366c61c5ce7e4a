"""Starting the virtual cluster of a pod, one step after the other, beside the containers that start at the same time.

The one rule: it never gives up, and always tells what it waits for. Whatever a step needs (a socket, a server, a file)
may come late; what never comes is in what /healthz says, where whoever waits for the cluster reads it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from vcluster_syncer.carriage import Carriage
from vcluster_syncer.config import TenantConfig, parse_description
from vcluster_syncer.engine.ground import NoRoom, NotBounded
from vcluster_syncer.engine.tenant import NotSynced
from vcluster_syncer.engine.tenants import NoSuchTenant, TenantExists
from vcluster_syncer.engine.timing import Backoff
from vcluster_syncer.fields import ConfigError
from vcluster_syncer.gateway.gateways import EndpointExists, NotListening
from vcluster_syncer.kube import kubeconfig
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import KubeError
from vcluster_syncer.kube.kubeconfig import KubeconfigError, Server
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.pod import objects, store
from vcluster_syncer.pod.store import BadSeed
from vcluster_syncer.pod.witness import Witness
from vcluster_syncer.pod_options import PodConfig, Store, described
from vcluster_syncer.recycle.etcd import StoreError
from vcluster_syncer.recycle.freeze import NotFrozen
from vcluster_syncer.recycle.processes import listing, one

_log = logging.getLogger(__name__)
# The two hooks that sleep before they look. What they make is in the seed already, so a server that is ready but for
# them is ready. https://kubernetes.io/docs/reference/using-api/health-checks/
_SEEDED = (
    "?exclude=poststarthook/rbac/bootstrap-roles&exclude=poststarthook/scheduling/bootstrap-system-priority-classes"
)
T = TypeVar("T")
_AGAIN = Backoff(first=0.02, longest=0.5)
_COMES_LATE = (
    StoreError,
    BadSeed,
    KubeError,
    KubeconfigError,
    ConfigError,
    NotFrozen,
    NotListening,
    EndpointExists,
    TenantExists,
    NoSuchTenant,
    NotSynced,
    NoRoom,
    NotBounded,
    OSError,
)
"""What a step may end in, to be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the pod is."""

    namespace: str
    address: str


class Startup:
    """The start of one pod's cluster."""

    def __init__(
        self, pod: PodConfig, carriage: Carriage, place: Place, *, host: Client, timeout: float, jitter: random.Random
    ) -> None:
        self._pod = pod
        self._host = host
        self._carriage = carriage
        self._place = place
        self._timeout = timeout
        self._jitter = jitter
        self._stage = "this process"
        self._why = ""
        self._witness = Witness(None if pod.store is None else pod.store.open.with_suffix(".processes"), pod.processes)

    def troubles(self) -> Sequence[str]:
        """Why the cluster can't be used now; nothing if it can."""
        if doubt := self._witness.doubt():
            return (doubt,)
        return (f"starting: {self._stage}{f': {self._why}' if self._why else ''}",) if self._stage else ()

    async def run(self) -> None:
        """Start the cluster; returns when it can be used."""
        async with asyncio.TaskGroup() as beside:
            beside.create_task(self._be_led_to())
            await self._start()

    async def _be_led_to(self) -> None:
        """Have the host's Services lead here; where that can't be done they do a few seconds later."""
        owner = self._carriage.owner
        if owner is None:
            return
        for service in self._pod.host_services:
            try:
                await objects.lead_here(self._host, service, self._place.address, await owner.found())
            except (KubeError, OSError) as error:
                _log.info("Service %s will lead here when the host has seen this pod: %s", service.name, error)

    async def _start(self) -> None:
        pod = self._pod
        if pod.store is not None:
            await self._start_store(pod.store)
        virtual = await self._step("the credentials of the API server", self._virtual)
        async with Client.open(virtual, timeout=self._timeout) as client:
            ready = Request(method="GET", path=f"/readyz{_SEEDED if pod.seed else ''}")
            await self._step("the API server", partial(client.send_raw, ready))
            await self._note(pod.irreplaceable)
            for obj in pod.objects:
                named = f"{obj['kind']} {obj['metadata']['name']}"
                await self._step(named, partial(objects.make_missing, client, obj))
            for each in pod.endpoints:
                announced = partial(objects.announce, client, each, self._place.address)
                await self._step(f"the endpoints of Service {each.name}", announced)
        config = self._description()
        await self._step("the host", partial(self._carriage.add, config))
        if config.recycle is not None:
            await self._step("the processes to freeze", partial(self._found, config.recycle.freeze_commands))
        self._stage = self._why = ""
        _log.info("the cluster is there")

    async def _start_store(self, config: Store) -> None:
        await self._step("etcd", partial(store.answers, config))
        await self._note(config.irreplaceable)
        if self._pod.seed is not None and not await self._step("the seed", partial(store.seed, config, self._pod.seed)):
            _log.info("there is a state already, which is left as it is")
        await self._step("the socket of the store", partial(store.open_up, config))

    async def _virtual(self) -> Server:
        return kubeconfig.load(self._description().kubeconfig)

    def _description(self) -> TenantConfig:
        return parse_description(described(self._pod, namespace=self._place.namespace), source="pod.tenant")

    async def _found(self, commands: Sequence[str]) -> None:
        there = listing(self._pod.processes)
        for command in commands:
            one(command, there)

    async def _note(self, commands: Sequence[str]) -> None:
        async def note() -> None:
            for command in commands:
                self._witness.note(command)

        await self._step("processes of other containers", note)

    async def _step(self, stage: str, step: Callable[[], Awaitable[T]]) -> T:
        """Try until it succeeds."""
        self._stage, self._why, failures = stage, "", 0
        while True:
            try:
                return await step()
            except _COMES_LATE as error:
                failures += 1
                if str(error) != self._why:
                    _log.info("waiting for %s: %s", stage, error)
                self._why = str(error)
            await asyncio.sleep(_AGAIN.after(failures, jitter=self._jitter))

"""Fills a virtual cluster and its host, and times it: `python -m bench.syncing VERSION DIRECTORY quick|whole`.

In a process of its own, straight through the backplane. A line of JSON for every row that was measured goes to the file
`carried.jsonl` in the directory. The one rule: what one case has left is gone on both sides before the next begins, and
the two sides take turns in going first.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from vcluster_syncer.kube import kubeconfig, requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.model import CONFIGMAPS, PODS, SERVICES, Resource

from bench import loads, names, processes
from bench.loads import Object, Side, Sizes, row
from bench.places import PREFIXES, Place, clear, create, make_namespace
from bench.sightings import Sightings, lags, watched
from pytest_vcluster.controlplane import kube_controller_manager
from pytest_vcluster.controlplane.http import Client as PlainClient
from pytest_vcluster.hosts import opening, simulated_nodes, syncer
from pytest_vcluster.hosts.virtual import VirtualCluster
from pytest_vcluster.service.processes import Processes
from pytest_vcluster.settings import Settings, default_nodes
from pytest_vcluster.toolchain import Component, Sources, Wanted, obtain

RECORD = "carried.jsonl"
_DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
_NAMESPACE = "bench"
_NODES = 8
"""Of 110 pods each."""
_AT_ONCE = 8
_CHANGES = 5
_SECONDS = 60.0
_REQUEST_SECONDS = 300.0
"""To delete a thousand Services is one request."""
_REST_SECONDS = 2.0
_SYNCER = "vcluster_syncer"


class _Bench:
    """All cases on one virtual cluster and its host."""

    def __init__(self, virtual: Place, host: Place, *, run: Path, sizes: Sizes, record: Path) -> None:
        self._virtual = virtual
        self._host = host
        self._run = run
        self._sizes = sizes
        self._record = record
        self._turn = 0

    async def all(self) -> None:
        """Go through all cases."""
        sizes = self._sizes
        await self._pods(sizes.few, then_change=True)
        await self._pods(sizes.many)
        await self._deployments(sizes.many)
        await self._plain(SERVICES, loads.services(sizes.services), names.CARRY_SERVICES.format(count=sizes.services))
        await self._config_maps()

    def note(self, name: str, *figures: float) -> None:
        """Record a row's figures."""
        with self._record.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"row": name, "figures": figures}) + "\n")

    async def _pods(self, count: int, *, then_change: bool = False) -> None:
        case = names.CARRY_PODS.format(count=count)
        for place in self._in_turn():
            async with self._seen(PODS) as (here, there):
                seen = here if place is self._virtual else there
                began = time.monotonic()
                await create(place, PODS, loads.pods(count, place.side))
                self.note(row(names.CREATING.format(case=case), place.side), time.monotonic() - began)
                over = await seen.until_ready(count)
                self.note(row(names.RUNNING.format(case=case), place.side), over - began)
                if place is self._virtual:
                    self.note(names.CARRY_STATUS_LAG.format(count=count), *lags(there.ready, here.ready))
                    self.note(names.CARRY_POD_LAG.format(count=count), *lags(here.first, there.first))
                    if then_change:
                        await self._change(count, here, there)
                await clear(place, PODS, [here, there])

    async def _change(self, count: int, here: Sightings, there: Sightings) -> None:
        """Change the status of each of those pods on the host, one when the change before has come, as kubelets do."""
        await asyncio.sleep(_REST_SECONDS)
        for turn in range(_CHANGES):
            for name in there.named(PREFIXES):
                message = f"change {turn}"
                pod = there.there[name]["metadata"]
                request = requests.merge_patch(
                    PODS,
                    namespace=pod["namespace"],
                    name=pod["name"],
                    uid=pod["uid"],
                    patch={"status": {"message": message}},
                    subresource="status",
                )
                await self._host.client.send(request)
                await here.until_told(name, message)
        self.note(names.CARRY_CHANGE_LAG.format(count=count), *lags(there.told, here.told))

    async def _deployments(self, count: int) -> None:
        case = names.CARRY_DEPLOYMENT.format(count=count)
        for place in self._in_turn():
            async with self._seen(PODS) as (here, there):
                seen = here if place is self._virtual else there
                before = await self._cpu_seconds()
                began = time.monotonic()
                await create(place, _DEPLOYMENTS, [loads.deployment(count, place.side)])
                over = await seen.until_ready(count)
                self.note(row(names.RUNNING.format(case=case), place.side), over - began)
                if place is self._virtual:
                    await asyncio.sleep(_REST_SECONDS)
                    self.note(names.CARRY_CPU, (await self._cpu_seconds() - before) * 1000 / count)
                    self.note(names.CARRY_STATUS_LAG.format(count=f"{count} at once"), *lags(there.ready, here.ready))
                await clear(place, _DEPLOYMENTS, [])
                await clear(place, PODS, [here, there])

    async def _plain(self, resource: Resource, objects: Sequence[Object], case: str) -> None:
        for place in self._in_turn():
            async with self._seen(resource) as (here, there):
                began = time.monotonic()
                await create(place, resource, objects)
                self.note(row(names.CREATING.format(case=case), place.side), time.monotonic() - began)
                wanted = {obj["metadata"]["name"] for obj in objects}
                over = await there.until_there(wanted)
                self.note(row(names.ON_HOST.format(case=case), place.side), over - began)
                await clear(place, resource, [here, there])

    async def _config_maps(self) -> None:
        sizes = self._sizes
        case = names.CARRY_CONFIG_MAPS.format(count=sizes.config_maps, used=sizes.used)
        objects = loads.config_maps(sizes.config_maps)
        for place in self._in_turn():
            async with self._seen(CONFIGMAPS) as (here, there), self._seen(PODS) as (pods_here, pods_there):
                weight = _syncers_weight()
                began = time.monotonic()
                await create(place, CONFIGMAPS, objects, at_once=_AT_ONCE)
                await create(place, PODS, loads.users(sizes.used, place.side))
                self.note(row(names.CREATING.format(case=case), place.side), time.monotonic() - began)
                used = {obj["metadata"]["name"] for obj in objects[: sizes.used]}
                over = await there.until_there(used)
                self.note(row(names.ON_HOST.format(case=case), place.side), over - began)
                if place is self._virtual:
                    await asyncio.sleep(_REST_SECONDS)
                    self.note(names.CARRY_MEMORY, (_syncers_weight() - weight) * 1000 / sizes.config_maps)
                    self.note(names.CARRY_UNUSED, float(len(set(there.named(PREFIXES)) - used)))
                await clear(place, PODS, [pods_here, pods_there])
                await clear(place, CONFIGMAPS, [here, there])

    def _in_turn(self) -> Sequence[Place]:
        self._turn += 1
        both = (self._virtual, self._host)
        return both if self._turn % 2 else both[::-1]

    @contextlib.asynccontextmanager
    async def _seen(self, resource: Resource) -> AsyncIterator[tuple[Sightings, Sightings]]:
        """Watch the bench's namespace of the virtual cluster and, of the host, the tenant's and the bench's own."""
        async with (
            watched(self._virtual.client, resource, _NAMESPACE, what="virtual cluster") as here,
            watched(self._host.client, resource, "", what="host") as there,
        ):
            here.forget()
            there.forget()
            yield here, there

    async def _cpu_seconds(self) -> float:
        return await asyncio.to_thread(_syncers_cpu_seconds, self._run)


async def measure(version: str, directory: Path, *, quick: bool) -> None:
    """Measure all cases, then what tenants weigh that do nothing."""
    sizes = Sizes.of(quick=quick)
    settings = Settings(versions=(version,), offline=True)
    run = directory / "run"
    run.mkdir()
    starter = Processes(run / "logs", register=lambda _: None)
    async with opening.opened(
        settings, run, starter=starter, register=lambda _: None, progress=lambda _: None, will=lambda _: None
    ) as shared:
        facts = await shared.host_ready()
        host_kubeconfig = Path(str(facts["kubeconfig"]))
        nodes = default_nodes(_NODES)
        async with (
            _deploying(version, host_kubeconfig, starter),
            Client.open(kubeconfig.load(host_kubeconfig), timeout=_REQUEST_SECONDS) as host,
        ):
            async with (
                shared.virtual_cluster(version=version, nodes=nodes) as cluster,
                Client.open(kubeconfig.load(cluster.plane.kubeconfig), timeout=_REQUEST_SECONDS) as virtual,
            ):
                selector = {simulated_nodes.TENANT_LABEL: cluster.name}
                places = (
                    Place(side=Side(word=names.VIRTUAL, namespace=_NAMESPACE, node_selector={}), client=virtual),
                    Place(side=Side(word=names.HOST, namespace=_NAMESPACE, node_selector=selector), client=host),
                )
                for place in places:
                    await make_namespace(place)
                bench = _Bench(*places, run=run, sizes=sizes, record=directory / RECORD)
                await bench.all()
            async with shared.virtual_cluster(version=version, nodes=()) as empty:
                bench.note(names.CARRY_TENANT, await _weigh_tenants(empty, run, sizes.tenants))


@contextlib.asynccontextmanager
async def _deploying(version: str, host: Path, starter: Processes) -> AsyncIterator[None]:
    """Have the host make pods of Deployments, which it leaves to its virtual clusters otherwise."""
    sources = Sources.from_environ(os.environ, offline=True)
    wanted = Wanted.parse(f"{Component.KUBE_CONTROLLER_MANAGER}@{version}")
    [binary] = await asyncio.to_thread(obtain, [wanted], sources, progress=lambda _: None)
    settings = kube_controller_manager.Settings(
        name="bench",
        kubeconfig=host,
        pki=host.parent / "pki",
        controllers=("deployment-controller", "replicaset-controller"),
    )
    running = await starter.start(kube_controller_manager.component(binary.path, settings))
    try:
        yield
    finally:
        running.kill()
        await running.exited


async def _weigh_tenants(cluster: VirtualCluster, run: Path, count: int) -> float:
    """Add so many tenants that have nothing to do, and return what one weighs.

    They are all the same virtual cluster, which has no nodes; the syncer does not know, and keeps all of it for each.
    """
    await asyncio.sleep(_REST_SECONDS)
    before = _syncers_weight()
    added = [f"{cluster.name}-{number}" for number in range(count)]
    for name in added:
        body: dict[str, Any] = {
            "name": name,
            "virtual": {"kubeconfig": str(cluster.plane.kubeconfig)},
            "host_namespace": name,
            "kubernetes_service_ip": cluster.plane.settings.kubernetes_service_ip,
        }
        await asyncio.to_thread(syncer.add_tenant, syncer.connector(run), body, timeout=_SECONDS)
    await asyncio.sleep(_REST_SECONDS)
    after = _syncers_weight()
    for name in added:
        await asyncio.to_thread(syncer.remove_tenant, syncer.connector(run), name, timeout=_SECONDS)
    return (after - before) / count


def _syncers_cpu_seconds(run: Path) -> float:
    client = PlainClient.over_unix(syncer.admin_socket(run))
    try:
        _, text = client.status("/metrics")
    finally:
        client.close()
    [value] = [line.split()[1] for line in text.splitlines() if line.startswith("process_cpu_seconds_total ")]
    return float(value)


def _syncers_weight() -> float:
    """Private memory of the syncer of this run that was written to, in MB."""
    [pid] = [process.pid for process in processes.of_run(Path(os.environ["TMPDIR"])) if process.name == _SYNCER]
    weight = processes.weight(pid)
    assert weight is not None
    return weight.written_mb


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], Path(sys.argv[2]), quick=sys.argv[3] == "quick"))

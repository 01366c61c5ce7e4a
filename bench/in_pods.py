"""Virtual clusters in pods of a kind cluster, timed: `python -m bench.in_pods SETTINGS DIRECTORY COLD PODS`.

In a process of its own, straight through the backplane. A line of JSON for every row that was measured goes to the file
`in_pods.jsonl` in the directory. The one rule: images are on the nodes and the state to begin with is there before any
clock starts, which is what the first cluster is for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from vcluster_syncer.kube import kubeconfig, requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import PODS, Resource

from bench import loads, names, processes
from bench.loads import Object, Side
from bench.model import NotMeasured
from bench.places import Place, clear, create, make_namespace, until_there
from bench.sightings import lags, watched
from pytest_vcluster.errors import ApiError
from pytest_vcluster.hosts import backplanes
from pytest_vcluster.hosts.in_cluster.backplane import PodBackplane
from pytest_vcluster.hosts.in_cluster.cluster import PodCluster
from pytest_vcluster.service.processes import Processes
from pytest_vcluster.settings import Settings

RECORD = "in_pods.jsonl"
_DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
_NAMESPACE = "bench"
_IMAGE = "registry.k8s.io/pause:3.10"
"""Nodes have it."""
_SECONDS = 120.0
_REST_SECONDS = 10.0
_POLL_SECONDS = 0.02
# A question for kube-dns.kube-system.svc.cluster.local, from the node, until there is one answer to it.
_ASK = r"""
name='\x08kube-dns\x0bkube-system\x03svc\x07cluster\x05local'
ask() {
  exec 3<>"/dev/udp/$1/53" || return 1
  printf "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00$name\x00\x00\x01\x00\x01" >&3
  answers=$(timeout 0.5 dd bs=512 count=1 <&3 2>/dev/null | od -An -tx1 -j7 -N1)
  exec 3>&-
  [ "${answers// /}" = 01 ]
}
until ask "$1" 2>/dev/null; do sleep 0.02; done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """What all measurements share."""

    shared: PodBackplane
    settings: Settings
    record: Path
    node: str
    host: Client

    def note(self, name: str, *figures: float) -> None:
        """Record a row's figures."""
        with self.record.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"row": name, "figures": figures}) + "\n")

    def cluster(self) -> contextlib.AbstractAsyncContextManager[PodCluster]:
        """A new virtual cluster."""
        return self.shared.virtual_cluster(version=self.settings.versions[0], nodes=self.settings.nodes)

    async def cold(self, *, weighed: bool) -> None:
        """Make a cluster and see when it can be used."""
        began = time.monotonic()
        async with self.cluster() as cluster:
            address = await asyncio.to_thread(_dns_address, cluster)
            self.note(names.KIND_COLD, time.monotonic() - began)
            await asyncio.to_thread(_until_dns_answers, self.node, address)
            self.note(names.KIND_DNS, time.monotonic() - began)
            if weighed:
                await asyncio.sleep(_REST_SECONDS)
                await self._weigh(cluster)

    async def _weigh(self, cluster: PodCluster) -> None:
        namespace = str((await self.shared.host_ready())["namespace"])
        pod = await self.host.send(requests.get(PODS, namespace=namespace, name=f"{cluster.name}-0"))
        weights = processes.of_pod(str(pod["metadata"]["uid"]))
        if weights:  # those of a Docker elsewhere can't be weighed
            self.note(names.KIND_WRITTEN, sum(weight.written_mb for weight in weights))
            self.note(names.KIND_PSS, sum(weight.pss_mb for weight in weights))

    async def pods(self, count: int) -> None:
        """Have so many pods run in a virtual cluster and on the host alone, one by one and by a Deployment."""
        async with self.cluster() as cluster, _client_of(cluster, self.record.parent) as virtual:
            places = [
                Place(side=Side(word=word, namespace=_NAMESPACE, node_selector={}, image=_IMAGE), client=client)
                for word, client in ((names.VIRTUAL, virtual), (names.HOST, self.host))
            ]
            for place in places:
                await make_namespace(place)
                await until_there(place, f"/api/v1/namespaces/{_NAMESPACE}/serviceaccounts/default")
            try:
                for turn in (places, places[::-1]):
                    for place in turn:
                        await self._pods(place, places, PODS, loads.pods(count, place.side), count)
                    for place in turn:
                        await self._pods(place, places, _DEPLOYMENTS, [loads.deployment(count, place.side)], count)
            finally:
                await self.host.send(Request(method="DELETE", path=f"/api/v1/namespaces/{_NAMESPACE}"))

    async def _pods(
        self, place: Place, places: Sequence[Place], resource: Resource, objects: Sequence[Object], count: int
    ) -> None:
        by_deployment = resource != PODS
        case = (names.CARRY_DEPLOYMENT if by_deployment else names.CARRY_PODS).format(count=count)
        virtual, host = (each.client for each in places)
        async with (
            watched(virtual, PODS, _NAMESPACE, what="virtual cluster") as here,
            watched(host, PODS, "", what="host") as there,
        ):
            here.forget()
            there.forget()
            seen = here if place is places[0] else there
            began = time.monotonic()
            await create(place, resource, objects)
            if not by_deployment:
                self.note(_row(names.CREATING.format(case=case), place), time.monotonic() - began)
            over = await seen.until_ready(count)
            self.note(_row(names.RUNNING.format(case=case), place), over - began)
            if place is places[0] and not by_deployment:
                self.note(names.KIND_STATUS_LAG.format(count=count), *lags(there.ready, here.ready))
            if by_deployment:
                await clear(place, resource, [])
            await clear(place, PODS, [here, there])


async def measure(settings: Settings, directory: Path, *, cold: int, pods: int) -> None:
    """Measure so many cold starts, the last one's memory, and so many pods."""
    run = directory / "run" / "1"
    run.mkdir(parents=True)
    starter = Processes(run / "logs", register=lambda _: None)
    async with backplanes.opened(
        settings, run, starter=starter, register=lambda _: None, progress=_tell, will=lambda _: None
    ) as shared:
        if not isinstance(shared, PodBackplane):
            raise NotMeasured(f"{settings.host} is no host whose pods virtual clusters are")
        facts = await shared.host_ready()
        nodes = facts["nodes"]
        assert isinstance(nodes, list)
        server = kubeconfig.load(Path(str(facts["kubeconfig"])))
        async with Client.open(server, timeout=_SECONDS) as host:
            bench = _Bench(shared=shared, settings=settings, record=directory / RECORD, node=nodes[0], host=host)
            async with bench.cluster():
                _tell("the first cluster is there")
            for number in range(cold):
                await bench.cold(weighed=number == cold - 1)
            await bench.pods(pods)


@contextlib.asynccontextmanager
async def _client_of(cluster: PodCluster, directory: Path) -> AsyncIterator[Client]:
    ip, port = cluster.backend
    text = str((await asyncio.to_thread(cluster.facts, f"https://{ip}:{port}"))["kubeconfig"])
    document = yaml.safe_load(text)
    # Its certificate is for the gate of a lease, and there is none.
    document["clusters"][0]["cluster"]["tls-server-name"] = cluster.entrance
    path = directory / f"{cluster.name}.kubeconfig"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    async with Client.open(kubeconfig.load(path), timeout=_SECONDS) as client:
        yield client


def _dns_address(cluster: PodCluster) -> str:
    """Where the cluster's DNS is, as soon as its default ServiceAccount is there."""
    deadline = time.monotonic() + _SECONDS
    with contextlib.closing(cluster.api()) as client:
        while True:
            try:
                client.call("GET", "/api/v1/namespaces/default/serviceaccounts/default")
                service = client.call("GET", "/api/v1/namespaces/kube-system/services/kube-dns")
            except ApiError as error:
                if error.status != 404 or time.monotonic() > deadline:
                    raise
                time.sleep(_POLL_SECONDS)
            else:
                return str(service["spec"]["clusterIP"])


def _until_dns_answers(node: str, address: str) -> None:
    command = ["docker", "exec", node, "bash", "-c", _ASK, "ask", address]
    subprocess.run(command, check=True, timeout=_SECONDS, stdin=subprocess.DEVNULL)


def _row(case: str, place: Place) -> str:
    return names.KIND.format(case=case, side=place.side.word)


def _tell(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    asyncio.run(
        measure(
            Settings.from_json(json.loads(Path(sys.argv[1]).read_text())),
            Path(sys.argv[2]),
            cold=int(sys.argv[3]),
            pods=int(sys.argv[4]),
        )
    )

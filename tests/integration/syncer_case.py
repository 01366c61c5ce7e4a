"""What tests of the syncer share: a syncer in this process or in one of its own, tenants, and the parts that we play.

The host has no scheduler and no kubelet here, so `Case` is both.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from two_api_servers import NAMESPACES, SERVICE_ACCOUNTS, Api, Server, eventually
from vcluster_syncer.config import Config
from vcluster_syncer.engine.timing import Backoff, Timing
from vcluster_syncer.kube.errors import AlreadyExists
from vcluster_syncer.model import CONFIGMAPS, NODES, PODS, SERVICES
from vcluster_syncer.service import serve
from vcluster_syncer.translate import KINDS

# Everything that is a pause in real life is short here.
QUICK = Timing(
    request=2.0,
    failed=Backoff(first=0.02, longest=0.3),
    reconnect=Backoff(first=0.02, longest=0.2),
    silence=2.0,
    # But for this one: who takes so long is reported ready though it is not.
    settled=15.0,
)
TENANT = "vcluster-syncer/tenant"
CONTAINER = {"name": "main", "image": "registry.example/app:1"}


@dataclass(frozen=True)
class Admin:
    """The admin API of a running syncer."""

    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.session.request(method, f"http://syncer{path}", json=body) as response:
            text = await response.text()
            return response.status, json.loads(text) if text[:1] in "[{" else text

    async def is_up(self) -> bool:
        try:
            return (await self.call("GET", "/healthz"))[0] == 200
        except aiohttp.ClientError:
            return False


def config_file(directory: Path, host: Server, *, patrol: float = 120) -> Path:
    path = directory / "syncer.json"
    document = {
        "host": {"kubeconfig": str(host.kubeconfig)},
        "admin": {"unix": str(directory / "admin.sock")},
        "patrol_seconds": patrol,
        "log_level": "info",
    }
    path.write_text(json.dumps(document))
    return path


@contextlib.asynccontextmanager
async def admin_of(directory: Path) -> AsyncIterator[Admin]:
    connector = aiohttp.UnixConnector(path=str(directory / "admin.sock"))
    async with aiohttp.ClientSession(connector=connector) as session:
        admin = Admin(session)
        await eventually(admin.is_up)
        yield admin


@contextlib.asynccontextmanager
async def syncer(
    directory: Path,
    host: Server,
    *,
    timing: Timing = QUICK,
    patrol: float = 120,
    on: Iterable[str] = (),
    off: Iterable[str] = (),
) -> AsyncIterator[Admin]:
    """A syncer in this process; `on` and `off` are switches to turn."""
    config = Config(
        host_kubeconfig=host.kubeconfig,
        admin_socket=directory / "admin.sock",
        patrol_seconds=patrol,
        switches=dict.fromkeys(on, True) | dict.fromkeys(off, False),
    )
    stop = asyncio.Event()
    running = asyncio.create_task(serve(config, KINDS, stop=stop, timing=timing))
    try:
        async with admin_of(directory) as admin:
            yield admin
    finally:
        stop.set()
        await running


@contextlib.contextmanager
def syncer_process(config: Path, log: Path):
    """A syncer in a process of its own; killed at the end if it still runs."""
    command = [sys.executable, "-m", "vcluster_syncer", "--config", str(config), "--until-stdin-closes"]
    with log.open("ab") as file, subprocess.Popen(command, stdin=subprocess.PIPE, stderr=file) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass(frozen=True)
class Case:
    """One tenant and both of its sides."""

    name: str
    host: Api
    virtual: Api
    server: Server

    @classmethod
    async def prepare(cls, host: Api, virtual: Api, server: Server) -> Case:
        """Wipe the virtual cluster, and give it a namespace and a node on the host."""
        case = cls(f"vc-{uuid.uuid4().hex[:6]}", host, virtual, server)
        await virtual.wipe()
        await case.free_addresses()
        await host.create(NAMESPACES, "", case.name)
        await host.create(SERVICE_ACCOUNTS, case.name, "default")
        with contextlib.suppress(AlreadyExists):
            await virtual.create(SERVICE_ACCOUNTS, "default", "default")
        await virtual.create(CONFIGMAPS, "default", "kube-root-ca.crt", data={"ca.crt": "the virtual CA"})
        await case.add_host_node("node-1")
        return case

    async def free_addresses(self) -> None:
        """Delete the host Services of former tenants: the virtual cluster gives out their addresses anew."""
        own = [ipaddress.ip_network(each) for each in self.server.service_range.split(",")]
        for service in await self.host.list(SERVICES, labels=TENANT):
            addresses = [each for each in service["spec"].get("clusterIPs", ()) if each != "None"]
            if any(ipaddress.ip_address(each) in network for each in addresses for network in own):
                await self.host.delete(SERVICES, service["metadata"]["namespace"], service["metadata"]["name"])

    @property
    def description(self) -> dict[str, Any]:
        ip = self.server.service_range.rpartition(".")[0] + ".1"
        return {
            "name": self.name,
            "virtual": {"kubeconfig": str(self.server.kubeconfig)},
            "host_namespace": self.name,
            "nodes": {"mode": "private", "label": TENANT, "value": self.name},
            "cluster_domain": "cluster.local",
            "kubernetes_service_ip": ip,
            "dns_service_ip": None,
        }

    async def carried_by(self, admin: Admin, **changes: Any) -> None:
        status, answer = await admin.call("POST", "/v1/tenants", {**self.description, **changes})
        assert status == 201, answer

    async def add_host_node(self, name: str) -> None:
        await self.host.create(
            NODES,
            "",
            f"{self.name}-{name}",
            metadata={"labels": {TENANT: self.name}, "annotations": {"vcluster-syncer/name": name}},
            spec={},
            status={"capacity": {"cpu": "8", "memory": "8Gi", "pods": "110"}},
        )

    async def create_pod(self, name: str, **spec: Any) -> dict[str, Any]:
        return await self.virtual.create(PODS, "default", name, spec={"containers": [CONTAINER], **spec})

    async def host_object(self, resource: Any, name: str, namespace: str = "default") -> dict[str, Any] | None:
        """The host object of a virtual one, by its annotations."""
        found = await self.host_objects(resource, name, namespace)
        assert len(found) < 2, [one["metadata"]["name"] for one in found]
        return found[0] if found else None

    async def host_objects(self, resource: Any, name: str, namespace: str = "default") -> list[dict[str, Any]]:
        wanted = {"vcluster-syncer/name": name, "vcluster-syncer/namespace": namespace}
        wanted["vcluster-syncer/kind"] = resource.kind
        return [
            obj
            for obj in await self.host.list(resource, self.name, labels=f"{TENANT}={self.name}")
            if wanted.items() <= obj["metadata"].get("annotations", {}).items()
        ]

    async def on_host(self, resource: Any, name: str) -> dict[str, Any]:
        """Wait for the host object of a virtual one."""
        return await eventually(lambda: self.host_object(resource, name))

    async def schedule(self, name: str, node: str = "node-1") -> dict[str, Any]:
        """Play the scheduler."""
        pod = await self.on_host(PODS, name)
        await self.host.bind(self.name, pod["metadata"]["name"], f"{self.name}-{node}")
        return pod

    async def run(self, name: str, node: str = "node-1") -> dict[str, Any]:
        """Play scheduler and kubelet: the pod is Running and Ready on the host."""
        pod = await self.schedule(name, node)
        await self.set_status(pod, ready=True)
        return pod

    async def set_status(self, host_pod: dict[str, Any], *, ready: bool, restarts: int = 0) -> dict[str, Any]:
        state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        status = {
            "phase": "Running",
            "startTime": "2026-01-01T00:00:00Z",
            "podIP": "10.1.2.3",
            "podIPs": [{"ip": "10.1.2.3"}],
            "hostIP": "10.9.9.9",
            "hostIPs": [{"ip": "10.9.9.9"}],
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            "containerStatuses": [
                {
                    "name": "main",
                    "ready": ready,
                    "restartCount": restarts,
                    "image": CONTAINER["image"],
                    "imageID": "",
                    "state": state,
                }
            ],
        }
        return await self.host.patch(PODS, self.name, host_pod["metadata"]["name"], {"status": status}, "status")

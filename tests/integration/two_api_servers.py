"""Real API servers side by side, one for the host and the others for virtual clusters, on one etcd.

There is no controller manager, scheduler or kubelet: the tests play them. Servers are shared by the tests of a module;
a test gets namespaces of its own on the host, and virtual clusters that were wiped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from vcluster_syncer.kube import kubeconfig
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import KubeError, NotFound
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import (
    CONFIGMAPS,
    ENDPOINT_SLICES,
    EVENTS,
    NODES,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)

from pytest_vcluster.controlplane import pki
from pytest_vcluster.toolchain import Component, Sources, Wanted, locate
from pytest_vcluster.toolchain.versions import ETCD_VERSION, KNOWN_PATCH

VERSION = KNOWN_PATCH["1.36"]
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
_WIPED = (PODS, SERVICES, ENDPOINT_SLICES, CONFIGMAPS, SECRETS, EVENTS, NODES)
_START_SECONDS = 120.0
"""Far longer than three servers take that start at once on a machine with nothing else to do."""
_SERVICE_RANGES = ("10.64.0.0/10", "10.100.112.0/20", "10.100.128.0/20")
DUAL_STACK = tuple(
    f"{four},{six}"
    for four, six in zip(_SERVICE_RANGES, ("fd00:10::/108", "fd00:10::1:0/112", "fd00:10::2:0/112"), strict=True)
)
"""Service ranges of both families."""


@dataclass(frozen=True)
class Server:
    """A running API server."""

    name: str
    port: int
    kubeconfig: Path
    service_range: str

    def through(self, port: int, path: Path) -> Path:
        """Write a kubeconfig that reaches this server through another port, at `path`."""
        path.write_text(self.kubeconfig.read_text().replace(f":{self.port}", f":{port}"))
        return path


@dataclass(frozen=True)
class Servers:
    """The host and two virtual clusters."""

    host: Server
    first: Server
    second: Server
    down: Callable[[str], AbstractContextManager[None]]
    """Kills the server of that name, and starts it again at the end of the `with` statement."""
    compact: Callable[[], None]
    """Makes etcd forget all history."""
    etcd: Path
    """The Unix socket of the etcd behind all of them; the keys of each begin with its name."""


def _binary(component: Component, version: str) -> Path:
    found = locate(Wanted(component, version), Sources.from_environ(os.environ, offline=True))
    if found is None:
        pytest.fail(f"{component} {version} is not here; run `pytest-vcluster fetch {version}`")
    return found.path


@contextlib.contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Ports for servers that are started and killed within the context; nobody else is given one of them meanwhile."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            # Who binds to that very port, and says the same, may listen there all the same, on Linux.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
        if sys.platform != "linux":
            stack.close()
        yield ports


def _kubeconfig(path: Path, port: int, authority: pki.CertificateAuthority) -> None:
    user = authority.client("admin", ("system:masters",))
    for name, text in {"ca.crt": authority.certificate, "user.crt": user.certificate, "user.key": user.key}.items():
        (path.parent / name).write_text(text)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [
            {"name": "it", "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority": "ca.crt"}}
        ],
        "users": [{"name": "it", "user": {"client-certificate": "user.crt", "client-key": "user.key"}}],
    }
    path.write_text(yaml.safe_dump(document))


def _api_server(binary: Path, directory: Path, *, name: str, port: int, etcd: str, services: str) -> list[str]:
    directory.mkdir()
    authority = pki.CertificateAuthority.new(name)
    serving = authority.server("kube-apiserver", hosts=["127.0.0.1"])
    signing = pki.new_signing_key()
    front_proxies = pki.CertificateAuthority.new(f"{name}-front-proxy")
    front_proxy = front_proxies.client("front-proxy-client")
    files = {
        "front-proxy-ca.crt": front_proxies.certificate,
        "front-proxy-client.crt": front_proxy.certificate,
        "front-proxy-client.key": front_proxy.key,
        "tls.crt": serving.certificate,
        "tls.key": serving.key,
        "sa.key": signing.private,
        "sa.pub": signing.public,
    }
    for file, text in files.items():
        (directory / file).write_text(text)
    _kubeconfig(directory / "kubeconfig", port, authority)
    return [
        str(binary),
        f"--etcd-servers={etcd}",
        f"--etcd-prefix=/{name}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={directory}/tls.crt",
        f"--tls-private-key-file={directory}/tls.key",
        f"--client-ca-file={directory}/ca.crt",
        f"--requestheader-client-ca-file={directory}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={directory}/front-proxy-client.crt",
        f"--proxy-client-key-file={directory}/front-proxy-client.key",
        f"--service-account-key-file={directory}/sa.pub",
        f"--service-account-signing-key-file={directory}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-cluster-ip-range={services}",
        "--authorization-mode=AlwaysAllow",
        "--endpoint-reconciler-type=none",
        "--enable-priority-and-fairness=false",
        "--max-requests-inflight=0",
        "--max-mutating-requests-inflight=0",
        "--feature-gates=APIServerIdentity=false,UnknownVersionInteroperabilityProxy=false",
    ]


@contextlib.contextmanager
def started(
    directory: Path, *, host: str = VERSION, virtual: str = VERSION, ranges: Sequence[str] = _SERVICE_RANGES
) -> Iterator[Servers]:
    """Start all servers, of the host's and the virtual clusters' version; they are killed at the end."""
    with contextlib.ExitStack() as stack:
        etcd_port, peer_port, *ports = stack.enter_context(free_ports(5))
        etcd = f"http://127.0.0.1:{etcd_port}"
        # Unix sockets have short paths; pytest's own temporary folders do not.
        socket_of_etcd = Path(tempfile.mkdtemp(dir="/tmp")) / "etcd.sock"
        stack.callback(shutil.rmtree, socket_of_etcd.parent)
        commands = {
            "etcd": [
                str(_binary(Component.ETCD, ETCD_VERSION)),
                f"--data-dir={directory}/etcd",
                f"--listen-client-urls={etcd},unix://{socket_of_etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
                "--unsafe-no-fsync",
                "--log-level=error",
            ]
        }
        servers: list[Server] = []
        processes: dict[str, subprocess.Popen[bytes]] = {}
        for name, port, services in zip(("host", "first", "second"), ports, ranges, strict=True):
            binary = _binary(Component.KUBE_APISERVER, host if name == "host" else virtual)
            commands[name] = _api_server(binary, directory / name, name=name, port=port, etcd=etcd, services=services)
            servers.append(Server(name, port, directory / name / "kubeconfig", services))

        def start(name: str) -> None:
            log = stack.enter_context((directory / f"{name}.log").open("ab"))
            process = subprocess.Popen(commands[name], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes[name] = process

        def wait(server: Server) -> None:
            _wait_until_it_listens(server, processes[server.name], directory / f"{server.name}.log")

        @contextlib.contextmanager
        def down(name: str) -> Iterator[None]:
            processes[name].kill()
            processes[name].wait()
            try:
                yield
            finally:
                start(name)
                wait(next(server for server in servers if server.name == name))

        for name in commands:
            start(name)
        for server in servers:
            wait(server)
        yield Servers(*servers, down=down, compact=lambda: _compact(etcd), etcd=socket_of_etcd)


def _compact(etcd: str) -> None:
    def ask(path: str, **body: Any) -> dict[str, Any]:
        request = urllib.request.Request(f"{etcd}/v3/kv/{path}", data=orjson.dumps(body))
        with urllib.request.urlopen(request, timeout=20) as answer:
            found: dict[str, Any] = orjson.loads(answer.read())
            return found

    revision = ask("range", key="AA==")["header"]["revision"]
    ask("compaction", revision=revision, physical=True)


def _wait_until_it_listens(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the API server {server.name} ended: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"the API server {server.name} does not listen: {log.read_text()[-2000:]}")


class Api:
    """Any request to one server, in as few words as a test likes."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, server: Server) -> AsyncIterator[Api]:
        """An API client; waits until the server serves."""
        async with Client.open(kubeconfig.load(server.kubeconfig)) as client:
            api = cls(client)
            # The namespace is made by a hook of the server, after it began to answer.
            await eventually(lambda: api.get(NAMESPACES, "", "default"), seconds=_START_SECONDS)
            yield api

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        return await self.client.send(Request(method="GET", path=resource.path(namespace, name)))

    async def find(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        try:
            return await self.get(resource, namespace, name)
        except NotFound:
            return None

    async def list(self, resource: Resource, namespace: str = "", *, labels: str = "") -> list[dict[str, Any]]:
        query = f"?labelSelector={labels}" if labels else ""
        page = await self.client.send_list(Request(method="GET", path=resource.path(namespace) + query))
        return list(page.items)

    async def create(self, resource: Resource, namespace: str, name: str, **fields: Any) -> dict[str, Any]:
        metadata = {"name": name, **fields.pop("metadata", {})}
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **fields}
        return await self.client.send(Request(method="POST", path=resource.path(namespace), body=orjson.dumps(obj)))

    async def patch(
        self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any], subresource: str = ""
    ) -> dict[str, Any]:
        request = Request(
            method="PATCH",
            path=resource.path(namespace, name, subresource),
            body=orjson.dumps(patch),
            content_type="application/merge-patch+json",
        )
        return await self.client.send(request)

    async def delete(self, resource: Resource, namespace: str, name: str, *, grace: int | None = None) -> None:
        query = "" if grace is None else f"?gracePeriodSeconds={grace}"
        await self.client.send(Request(method="DELETE", path=resource.path(namespace, name) + query))

    async def bind(self, namespace: str, name: str, node: str) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name},
            "target": {"kind": "Node", "name": node},
        }
        path = PODS.path(namespace, name, "binding")
        await self.client.send(Request(method="POST", path=path, body=orjson.dumps(body)))

    async def finalize(self, namespace: Mapping[str, Any]) -> None:
        """Let a namespace that is being deleted go, as the namespace controller would."""
        path = NAMESPACES.path("", namespace["metadata"]["name"], "finalize")
        await self.client.send(Request(method="PUT", path=path, body=orjson.dumps(namespace)))

    async def wipe(self) -> None:
        """Delete what tests of the syncer make, but the API server's own Service."""
        for resource in _WIPED:
            for obj in await self.list(resource):
                metadata = obj["metadata"]
                if metadata["name"] != "kubernetes":
                    with contextlib.suppress(NotFound):
                        await self.delete(resource, metadata.get("namespace", ""), metadata["name"], grace=0)


async def eventually(check: Any, *, seconds: float = 60.0) -> Any:
    """Wait until `await check()` is something, and return it; tell what it last was otherwise."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        try:
            seen = await check()
        except KubeError as error:
            seen = error
        else:
            if seen:
                return seen
        if loop.time() > deadline:
            raise AssertionError(
                f"not within {seconds} s: {getattr(check, '__qualname__', check)}; last seen: {seen!r}"
            )
        await asyncio.sleep(0.005)

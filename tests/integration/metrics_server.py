"""A metrics server for a host that has none, and the virtual clusters' part of being told its figures.

It does what the real one does where that matters here: figures bear the names and the labels of the host's pods, and
lists are of those whose labels are asked for.
"""

from __future__ import annotations

import base64
import contextlib
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from two_api_servers import Api, Server, eventually
from vcluster_syncer.kube.errors import NotFound
from vcluster_syncer.model import API_SERVICES, NODE_METRICS, POD_METRICS, SERVICES

from pytest_vcluster.controlplane import pki
from pytest_vcluster.controlplane.keys import METRICS_SERVER_NAME

ROOT = "/apis/metrics.k8s.io/v1beta1"
NAME = "v1beta1.metrics.k8s.io"
_MEASURED = {"timestamp": "2026-11-21T10:00:00Z", "window": "15s"}


@dataclass
class MetricsServer:
    """What is measured on the host."""

    pods: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path with the query, but for discovery."""

    def measure(self, host_pod: Mapping[str, Any], **cpu: str) -> None:
        """Have a host pod's containers use so much of a processor each."""
        own = host_pod["metadata"]
        self.pods[own["namespace"], own["name"]] = {
            "metadata": {key: own.get(key) for key in ("name", "namespace", "labels", "annotations")},
            **_MEASURED,
            "containers": [{"name": name, "usage": {"cpu": used, "memory": "10Mi"}} for name, used in cpu.items()],
        }

    def measure_node(self, host_node: Mapping[str, Any], cpu: str) -> None:
        name, labels = host_node["metadata"]["name"], host_node["metadata"].get("labels")
        usage = {"cpu": cpu, "memory": "1Gi"}
        self.nodes[name] = {"metadata": {"name": name, "labels": labels}, **_MEASURED, "usage": usage}

    async def answer(self, request: web.Request) -> web.Response:
        parts = request.path.removeprefix(ROOT).strip("/").split("/")
        if parts == [""]:
            kinds = (POD_METRICS, NODE_METRICS)
            resources = [
                {"name": one.plural, "kind": one.kind, "namespaced": one.namespaced, "verbs": ["get", "list"]}
                for one in kinds
            ]
            return web.json_response(
                {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": NAME, "resources": resources}
            )
        if request.path.startswith(ROOT):
            self.asked.append((request.method, request.path_qs))
        match parts:
            case ["nodes"]:
                return self._list(request, "NodeMetrics", list(self.nodes.values()))
            case ["nodes", name]:
                return self._one(request, "NodeMetrics", "nodes", name, self.nodes.get(name))
            case ["pods"]:
                return self._list(request, "PodMetrics", list(self.pods.values()))
            case ["namespaces", namespace, "pods"]:
                there = [figures for (place, _), figures in self.pods.items() if place == namespace]
                return self._list(request, "PodMetrics", there)
            case ["namespaces", namespace, "pods", name]:
                return self._one(request, "PodMetrics", "pods", name, self.pods.get((namespace, name)))
        return web.Response(status=404, text="404 page not found\n")

    def _list(self, request: web.Request, kind: str, items: list[dict[str, Any]]) -> web.Response:
        selector = request.query.get("labelSelector", "")
        wanted = dict(pair.split("=") for pair in selector.split(",")) if selector else {}
        found = [one for one in items if wanted.items() <= (one["metadata"].get("labels") or {}).items()]
        return web.json_response(
            {"kind": f"{kind}List", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": found}
        )

    def _one(
        self, request: web.Request, kind: str, plural: str, name: str, found: dict[str, Any] | None
    ) -> web.Response:
        if found is not None:
            return web.json_response({"kind": kind, "apiVersion": "metrics.k8s.io/v1beta1", **found})
        told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        return web.json_response({**told, "message": f'{plural}.metrics.k8s.io "{name}" not found'}, status=404)


@contextlib.asynccontextmanager
async def measured(host: Api, directory: Path) -> AsyncIterator[MetricsServer]:
    """A metrics server of `host` as long as the context lasts; it has no figures yet."""
    authority = pki.CertificateAuthority.new("metrics-servers")
    serving = authority.server("metrics", hosts=["metrics.kube-system.svc"])
    (directory / "metrics.pem").write_text(serving.certificate + serving.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "metrics.pem")
    server = MetricsServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        spec = {"type": "ExternalName", "externalName": "localhost"}
        with contextlib.suppress(NotFound):
            await host.delete(SERVICES, "kube-system", "metrics")
        await host.create(SERVICES, "kube-system", "metrics", spec=spec)
        spec = {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"namespace": "kube-system", "name": "metrics", "port": runner.addresses[0][1]},
            "caBundle": base64.b64encode(authority.certificate.encode()).decode(),
        }
        await host.create(API_SERVICES, "", NAME, spec=spec)

        async def is_served() -> bool:
            return await host.list(NODE_METRICS) == []

        await eventually(is_served, seconds=60)
        server.asked.clear()
        yield server
    finally:
        with contextlib.suppress(NotFound):
            await host.delete(API_SERVICES, "", NAME)
        assert runner.server is not None
        transports = [connection.transport for connection in runner.server.connections]
        await runner.cleanup()
        for transport in filter(None, transports):
            # TLS would wait for the API server's goodbye, longer than the test lasts.
            transport.abort()


def told(front_proxies: Path, directory: Path, *, port: int = 0, **changes: Any) -> dict[str, Any]:
    """What a tenant is to be told, and where its API server asks for it: `metrics` of its description.

    `front_proxies` is the authority of the API server's front proxies.
    """
    authority = pki.CertificateAuthority.new("gateways")
    serving = authority.server("gateway", hosts=["127.0.0.1", METRICS_SERVER_NAME])
    files = {".pem": serving.certificate + serving.key, ".ca": authority.certificate}
    path = directory / f"gateway-{uuid.uuid4().hex[:6]}"
    for suffix, text in files.items():
        path.with_suffix(suffix).write_text(text)
    endpoint = {
        "address": "127.0.0.1",
        "port": port,
        "certificate": str(path.with_suffix(".pem")),
        "key": str(path.with_suffix(".pem")),
        "client_authority": str(front_proxies),
    }
    return {"pods": True, "nodes": True, "authority": str(path.with_suffix(".ca")), "endpoint": endpoint, **changes}


def front_proxies(server: Server) -> Path:
    """The authority of a server's front proxies."""
    return server.kubeconfig.parent / "front-proxy-ca.crt"

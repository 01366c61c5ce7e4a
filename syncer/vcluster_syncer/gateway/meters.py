"""Where virtual API servers are told figures: one endpoint for each tenant that is to have metrics.k8s.io.

The one rule: an endpoint knows one tenant, and lets in nobody but that tenant's API server, by the authority with which
that shows itself to those it hands an API on to. Who asked, and whether he may, it has found out itself by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from aiohttp import web

from vcluster_syncer.config import MetricsConfig
from vcluster_syncer.engine.tenants import NoSuchTenant, Tenants
from vcluster_syncer.gateway import metrics_api, metrics_objects
from vcluster_syncer.gateway.endpoint import server_tls
from vcluster_syncer.gateway.gateways import EndpointExists, NotListening
from vcluster_syncer.gateway.metrics_api import Asked
from vcluster_syncer.gateway.routes import Refused
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import Forbidden, KubeError, NotFound, Unreachable
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import POD_METRICS, Object, Resource, World
from vcluster_syncer.translate import figures

_log = logging.getLogger(__name__)
_SHUTDOWN_SECONDS: Final = 1.0
_SERVED_SECONDS: Final = 60.0
"""An API server that found nobody here looks again after 30 s at the latest."""
_TOLD: Final[Mapping[type[KubeError], str]] = {
    NotFound: "the host does not serve metrics.k8s.io",
    Forbidden: "the syncer may not read metrics.k8s.io on the host",
    Unreachable: "the host's API server does not answer",
}
_UNAVAILABLE: Final = "the host's metrics.k8s.io is not available"


@dataclass(slots=True)
class _Kept:
    config: MetricsConfig
    port: int
    stack: AsyncExitStack


class Meters:
    """Who has an endpoint; made by `open`."""

    def __init__(self, tenants: Tenants, host: Client, *, timeout: float) -> None:
        self._tenants = tenants
        self._host = host
        self._timeout = timeout
        self._kept: dict[str, _Kept] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, tenants: Tenants, host: Client, *, timeout: float) -> AsyncIterator[Meters]:
        """No endpoints yet; `host` has the figures. A request to a virtual API server may take `timeout` seconds."""
        meters = cls(tenants, host, timeout=timeout)
        try:
            yield meters
        finally:
            for name in list(meters._kept):
                await meters.remove(name)

    async def add(self, name: str, config: MetricsConfig) -> int:
        """Have an endpoint for the tenant `name`, which needs not be carried yet; returns its port.

        EndpointExists, or NotListening if it can't be had.
        """
        if name in self._kept:
            raise EndpointExists(f"tenant {name!r} is told figures already; DELETE the tenant first")
        at = config.endpoint
        meter = _Meter(name, config.told, self._tenants, self._host)
        async with AsyncExitStack() as stack:
            runner = web.AppRunner(meter.application(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
            await runner.setup()
            stack.push_async_callback(_end, runner)
            try:
                await web.TCPSite(runner, at.listen or at.address, at.port, ssl_context=server_tls(at)).start()
            except OSError as error:
                raise NotListening(
                    f"tenant.metrics: nothing can listen at {at.listen or at.address}:{at.port} with the certificate "
                    f"{at.certificate}, whose clients are signed by {at.client_authority}: {error}"
                ) from error
            port: int = runner.addresses[0][1]
            self._kept[name] = _Kept(config, port, stack.pop_all())
        return port

    async def announce(self, name: str, server: Server) -> None:
        """Have the tenant's API server, which is `server`, hand the API on to its endpoint.

        KubeError if it can't be reached or doesn't; NotListening for an authority that can't be read.
        """
        kept = self._kept[name]
        try:
            authority = await asyncio.to_thread(kept.config.authority.read_bytes)
        except OSError as error:
            raise NotListening(f"tenant.metrics: authority {kept.config.authority}: {error.strerror}") from error
        objects = metrics_objects.wanted(address=kept.config.endpoint.address, port=kept.port, authority=authority)
        async with Client.open(server, timeout=self._timeout) as virtual:
            await metrics_objects.served(virtual, objects, timeout=_SERVED_SECONDS)

    async def remove(self, name: str) -> None:
        """Close a tenant's endpoint; harmless if it has none."""
        kept = self._kept.pop(name, None)
        if kept is not None:
            await kept.stack.aclose()


class _Meter:
    """What one tenant is told."""

    def __init__(self, name: str, told: Sequence[Resource], tenants: Tenants, host: Client) -> None:
        self._name = name
        self._told = told
        self._tenants = tenants
        self._host = host
        self._discovery = metrics_api.discovery(told)

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.Response:
        if (request.method, request.path) == ("GET", metrics_api.ROOT):
            return _json(self._discovery)
        try:
            asked = metrics_api.parse(request.method, request.path.split("/")[1:], request.query, self._told)
            return _json(await self._answer(asked))
        except Refused as error:
            return _json(metrics_api.as_status(error), status=error.status)

    async def _answer(self, asked: Asked) -> Mapping[str, Any]:
        try:
            world = self._tenants.world(self._name)
        except NoSuchTenant as error:
            raise Refused(503, "the cluster is not carried on the host") from error
        translate = figures.of_pod if asked.resource == POD_METRICS else figures.of_node
        if asked.key.name:
            found = await self._one(asked, world)
            made = None if found is None else translate(found, world)
            if made is None:
                raise asked.not_found
            return made
        place, labels = figures.host_place(asked.resource, asked.key.namespace, world)
        query = urlencode({"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())})
        items = (await self._ask(f"{asked.resource.path(place)}?{query}") or {}).get("items")
        mine = [made for item in items or () if (made := translate(item, world)) is not None]
        return metrics_api.as_list(asked, mine)

    async def _one(self, asked: Asked, world: World) -> Object | None:
        """What the host tells of one object; None if there is no such object, or nothing is known of it yet."""
        if asked.resource == POD_METRICS:
            pod = figures.host_pod(asked.key, world)
            return None if pod is None else await self._ask(_path(asked.resource, pod))
        name = figures.host_node(asked.key, world)
        return None if name is None else await self._ask(asked.resource.path("", name))

    async def _ask(self, path: str) -> Object | None:
        """Ask the host, whose words and names are for the log alone; None where it knows nothing of that name."""
        try:
            return await self._host.send(Request(method="GET", path=path))
        except KubeError as error:
            # In words of the API itself; where there is none its path is unknown, and no reason given.
            if isinstance(error, NotFound) and error.reason:
                return None
            _log.info("tenant %s: %s", self._name, error)
            why = next((said for kind, said in _TOLD.items() if isinstance(error, kind)), _UNAVAILABLE)
            raise Refused(503, why) from error


async def _end(runner: web.AppRunner) -> None:
    """Listen no more, and cut every connection: TLS says goodbye first, and waits for an answer."""
    connections = () if runner.server is None else runner.server.connections
    transports = [connection.transport for connection in connections]
    await runner.cleanup()
    for transport in transports:
        if transport is not None:
            transport.abort()


def _path(resource: Resource, host: Object) -> str:
    return resource.path(host["metadata"]["namespace"], host["metadata"]["name"])


def _json(value: Mapping[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")

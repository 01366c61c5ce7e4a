"""The admin API: HTTP on a Unix socket, for whoever started the syncer.

The one rule: it is a doorway. It reads a request, calls `Tenants`, and says in JSON what came of it.

    GET    /livez              200 "ok" while it answers at all: for whoever would restart it
    GET    /healthz            200 "ok" while host and tenants are followed; 503, a line for each that is not and why
    GET    /metrics            200, in Prometheus' text format
    GET    /v1/tenants/{name}/pending   200, a list: each virtual pod that is not ready, and what both sides say of it
    GET    /v1/tenants         200, a list: per tenant its readiness, what is queued, what is not in order
    POST   /v1/tenants         201 once its lists are read and its nodes mirrored; 400 bad description,
                               409 name, namespace or what bounds it is taken, 507 the host has no room for
                               what it is to be sure of (`error` tells what is free), 504 its API server could
                               not be read in time;
                               with a `gateway` the kubelet of its nodes listens as long as it is carried
    DELETE /v1/tenants/{name}  200 when nothing of it runs any more; 404 unknown
    POST   /v1/tenants/{name}/baseline  200 once the present state is taken as the baseline; 404 unknown,
                               409 it never came to rest (`error` names the keys)
    POST   /v1/tenants/{name}/recycle   200, back at the baseline or not: `pristine`, `reason`, what was done and how
                               long each step took; 404 unknown. For a tenant that was used before it was carried,
                               the body is what its etcd held before that, as it answers
    POST   /v1/tenants/{name}/checkpoint     200 `{"checkpoint": ...}`; 404 unknown
    POST   /v1/tenants/{name}/restore        200, back at `{"checkpoint": ...}`: what was done; 404 unknown
    POST   /v1/tenants/{name}/restart        200 once the tenant was read anew; `{"freeze": [pid, ...]}`; 404 unknown
"""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import orjson
from aiohttp import web

from vcluster_syncer.config import parse_read_before, parse_restart, parse_restore, parse_tenant
from vcluster_syncer.engine.ground import NoRoom, NotBounded
from vcluster_syncer.engine.metrics import CONTENT_TYPE
from vcluster_syncer.engine.tenant import NotSynced
from vcluster_syncer.engine.tenants import NoSuchTenant, TenantExists, Tenants
from vcluster_syncer.fields import ConfigError
from vcluster_syncer.gateway.gateways import EndpointExists, Gateways, NotListening
from vcluster_syncer.kube.errors import KubeError
from vcluster_syncer.kube.kubeconfig import KubeconfigError, load
from vcluster_syncer.pending import pods
from vcluster_syncer.recycle.barrier import NotReached
from vcluster_syncer.recycle.etcd import StoreError
from vcluster_syncer.recycle.freeze import NotFrozen
from vcluster_syncer.recycle.recycler import Target
from vcluster_syncer.recycle.recyclers import NoSuchCheckpoint, Recyclers
from vcluster_syncer.recycle.way_back import NotPristine
from vcluster_syncer.reports import metrics_text

_LARGEST = 64 << 20
_STATUS: dict[type[Exception], int] = {
    ConfigError: 400,
    KubeconfigError: 400,
    NoSuchTenant: 404,
    NoSuchCheckpoint: 404,
    TenantExists: 409,
    NotBounded: 409,
    NoRoom: 507,
    EndpointExists: 409,
    NotListening: 400,
    NotSynced: 504,
    NotPristine: 409,
    NotReached: 409,
    NotFrozen: 502,
    StoreError: 502,
    KubeError: 502,
}


@asynccontextmanager
async def served(tenants: Tenants, recyclers: Recyclers, gateways: Gateways, socket: Path) -> AsyncIterator[None]:
    """Serve the admin API at `socket`, which only this user may use; the file is gone afterwards."""
    app = web.Application(middlewares=[_errors], client_max_size=_LARGEST)
    doorway = _Doorway(tenants, recyclers, gateways)
    app.router.add_get("/livez", doorway.livez)
    app.router.add_get("/healthz", doorway.healthz)
    app.router.add_get("/metrics", doorway.metrics)
    app.router.add_get("/v1/tenants/{name}/pending", doorway.pending)
    app.router.add_get("/v1/tenants", doorway.show)
    app.router.add_post("/v1/tenants", doorway.add)
    app.router.add_delete("/v1/tenants/{name}", doorway.remove)
    app.router.add_post("/v1/tenants/{name}/baseline", doorway.capture)
    app.router.add_post("/v1/tenants/{name}/recycle", doorway.recycle)
    app.router.add_post("/v1/tenants/{name}/checkpoint", doorway.checkpoint)
    app.router.add_post("/v1/tenants/{name}/restore", doorway.restore)
    app.router.add_post("/v1/tenants/{name}/restart", doorway.restart)
    # A socket that a killed predecessor left would be "address in use".
    _remove(socket)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.UnixSite(runner, str(socket)).start()
        _make_private(socket)
        yield
    finally:
        await runner.cleanup()
        _remove(socket)


def _make_private(socket: Path) -> None:
    socket.chmod(stat.S_IRUSR | stat.S_IWUSR)


def _remove(socket: Path) -> None:
    socket.unlink(missing_ok=True)


class _Doorway:
    """The handlers."""

    def __init__(self, tenants: Tenants, recyclers: Recyclers, gateways: Gateways) -> None:
        self._tenants = tenants
        self._recyclers = recyclers
        self._gateways = gateways

    async def livez(self, _request: web.Request) -> web.Response:
        """Answer."""
        return web.Response(text="ok")

    async def healthz(self, _request: web.Request) -> web.Response:
        """Tell whether everything is followed."""
        troubles = self._tenants.troubles()
        return web.Response(text="\n".join(troubles) or "ok", status=503 if troubles else 200)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Tell what was counted."""
        text = metrics_text(self._tenants.metrics, self._tenants.describe())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def pending(self, request: web.Request) -> web.Response:
        """Tell why pods wait."""
        known = self._tenants.insight(request.match_info["name"])
        return _json(pods(known.world, host_events=known.host_events, queued=known.queued, errors=known.errors))

    async def show(self, _request: web.Request) -> web.Response:
        """Tell of all tenants."""
        return _json(self._tenants.describe())

    async def add(self, request: web.Request) -> web.Response:
        """Carry a tenant."""
        config = parse_tenant(await request.read())
        server = load(config.kubeconfig)
        tenant, name = config.tenant, config.tenant.name
        if config.gateway is not None:
            # Before the nodes are mirrored, which tell its port.
            port = await self._gateways.add(name, config.gateway)
            tenant = replace(tenant, kubelet_address=config.gateway.address, kubelet_port=port)
        try:
            await self._tenants.add(tenant, server, config.terms)
        except BaseException:
            if config.gateway is not None:
                await self._gateways.remove(name)
            raise
        if config.recycle is not None:
            recycle = config.recycle
            target = Target(etcd=recycle.etcd, prefix=recycle.prefix, freeze=recycle.freeze, rest=recycle.rest)
            await self._recyclers.add(config.tenant.name, target, server)
        return _json({"name": config.tenant.name}, status=201)

    async def remove(self, request: web.Request) -> web.Response:
        """Stop carrying a tenant."""
        name = request.match_info["name"]
        await self._gateways.remove(name)
        await self._recyclers.remove(name)
        await self._tenants.remove(name)
        return _json({"name": name})

    async def capture(self, request: web.Request) -> web.Response:
        """Take a baseline."""
        return _json(await self._recyclers.capture(request.match_info["name"]))

    async def recycle(self, request: web.Request) -> web.Response:
        """Bring a tenant back to its baseline."""
        name, body = request.match_info["name"], await request.read()
        # Streams of the lease that ended reach into pods as long as they are open.
        async with self._gateways.shut(name):
            if body:
                return _json(await self._recyclers.recycle_unseen(name, parse_read_before(body)))
            return _json(await self._recyclers.recycle(name))

    async def checkpoint(self, request: web.Request) -> web.Response:
        """Take a checkpoint."""
        return _json({"checkpoint": await self._recyclers.checkpoint(request.match_info["name"])})

    async def restore(self, request: web.Request) -> web.Response:
        """Bring a tenant back to a checkpoint."""
        name = parse_restore(await request.read())
        return _json(await self._recyclers.restore(request.match_info["name"], name))

    async def restart(self, request: web.Request) -> web.Response:
        """Read a tenant anew."""
        name = request.match_info["name"]
        await self._recyclers.restart(name, freeze=parse_restart(await request.read()))
        return _json({"name": name})


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except tuple(_STATUS) as error:
        status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
        return _json({"error": str(error)}, status=status)


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")

"""The admin API: HTTP on a Unix socket for whoever started the syncer, or on a port for who has a certificate.

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
                               (`outdated`: its controller manager must be replaced)
    POST   /v1/tenants/{name}/replaced  200 as after `recycle`, once its new controller manager, the processes
                               `{"freeze": [pid, ...]}`, works; 404 unknown
    POST   /v1/tenants/{name}/checkpoint     200 `{"checkpoint": ...}`; 404 unknown
    POST   /v1/tenants/{name}/restore        200, back at `{"checkpoint": ...}`: what was done; 404 unknown
    GET    /v1/tenants/{name}/state          200, what its etcd answers to whoever reads all its keys; 404 unknown
    GET    /v1/tenants/{name}/changes?since=R  200 `{"revision": now, "changed": [key, ...], "total": how many keys
                               there are}`, keys without their prefix; 404 unknown
    POST   /v1/tenants/{name}/restart        200 once the tenant was read anew; `{"freeze": [pid, ...]}`; 404 unknown
"""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from aiohttp import web

from vcluster_syncer.carriage import Carriage
from vcluster_syncer.config import EndpointConfig, parse_tenant
from vcluster_syncer.engine.ground import NoRoom, NotBounded
from vcluster_syncer.engine.metrics import CONTENT_TYPE
from vcluster_syncer.engine.tenant import NotSynced
from vcluster_syncer.engine.tenants import NoSuchTenant, TenantExists
from vcluster_syncer.fields import ConfigError
from vcluster_syncer.gateway.endpoint import server_tls
from vcluster_syncer.gateway.gateways import EndpointExists, NotListening
from vcluster_syncer.kube.errors import KubeError
from vcluster_syncer.kube.kubeconfig import KubeconfigError
from vcluster_syncer.pending import pods
from vcluster_syncer.recycle.barrier import NotReached
from vcluster_syncer.recycle.etcd import StoreError
from vcluster_syncer.recycle.freeze import NotFrozen
from vcluster_syncer.recycle.recyclers import NoSuchCheckpoint
from vcluster_syncer.recycle.way_back import NotPristine
from vcluster_syncer.recycle_options import parse_read_before, parse_restart, parse_restore, parse_since
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where the admin API listens."""

    socket: Path | None = None
    """A Unix socket; only this user may use it."""
    endpoint: EndpointConfig | None = None
    """A port, for whoever has a certificate of its authority."""
    probes: tuple[str, int] | None = None
    """Address and port for everybody, who may ask whether it lives and how it is."""

    def __str__(self) -> str:
        where = [str(self.socket)] if self.socket is not None else []
        if self.endpoint is not None:
            where.append(f"https://{self.endpoint.address}:{self.endpoint.port}")
        return " and ".join(where)


def _nothing() -> Sequence[str]:
    return ()


@asynccontextmanager
async def served(
    carriage: Carriage, doors: Doors, *, troubles: Callable[[], Sequence[str]] = _nothing
) -> AsyncIterator[None]:
    """Serve the admin API; a socket's file is gone afterwards. NotListening for a port or certificate that is no use.

    `troubles` tells what is wrong besides what the tenants tell themselves.
    """
    doorway = _Doorway(carriage, troubles)
    async with AsyncExitStack() as stack:
        runner = await stack.enter_async_context(_running(doorway.application()))
        if doors.socket is not None:
            # A socket that a killed predecessor left would be "address in use".
            _remove(doors.socket)
            stack.callback(_remove, doors.socket)
            await web.UnixSite(runner, str(doors.socket)).start()
            _make_private(doors.socket)
        if doors.endpoint is not None:
            await _listen(runner, doors.endpoint)
        if doors.probes is not None:
            told = await stack.enter_async_context(_running(doorway.for_everybody()))
            try:
                await web.TCPSite(told, *doors.probes).start()
            except OSError as error:
                raise NotListening(f"probes: nothing can listen at {doors.probes}: {error}") from error
        yield


@asynccontextmanager
async def _running(app: web.Application) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, at: EndpointConfig) -> None:
    try:
        await web.TCPSite(runner, at.listen or at.address, at.port, ssl_context=server_tls(at)).start()
    except OSError as error:
        raise NotListening(
            f"admin: nothing can listen at {at.listen or at.address}:{at.port} with the certificate {at.certificate}, "
            f"whose clients are signed by {at.client_authority}: {error}"
        ) from error


def _make_private(socket: Path) -> None:
    socket.chmod(stat.S_IRUSR | stat.S_IWUSR)


def _remove(socket: Path) -> None:
    socket.unlink(missing_ok=True)


class _Doorway:
    """The handlers."""

    def __init__(self, carriage: Carriage, troubles: Callable[[], Sequence[str]]) -> None:
        self._carriage = carriage
        self._tenants = carriage.tenants
        self._recyclers = carriage.recyclers
        self._gateways = carriage.gateways
        self._troubles = troubles

    def application(self) -> web.Application:
        """Everything."""
        app = web.Application(middlewares=[_errors], client_max_size=_LARGEST)
        app.router.add_get("/livez", self.livez)
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/v1/tenants/{name}/pending", self.pending)
        app.router.add_get("/v1/tenants", self.show)
        app.router.add_post("/v1/tenants", self.add)
        app.router.add_delete("/v1/tenants/{name}", self.remove)
        app.router.add_post("/v1/tenants/{name}/baseline", self.capture)
        app.router.add_post("/v1/tenants/{name}/recycle", self.recycle)
        app.router.add_post("/v1/tenants/{name}/replaced", self.replaced)
        app.router.add_post("/v1/tenants/{name}/checkpoint", self.checkpoint)
        app.router.add_post("/v1/tenants/{name}/restore", self.restore)
        app.router.add_get("/v1/tenants/{name}/state", self.state)
        app.router.add_get("/v1/tenants/{name}/changes", self.changes)
        app.router.add_post("/v1/tenants/{name}/restart", self.restart)
        return app

    def for_everybody(self) -> web.Application:
        """What needs no certificate."""
        app = web.Application()
        app.router.add_get("/livez", self.livez)
        app.router.add_get("/healthz", self.healthz)
        return app

    async def livez(self, _request: web.Request) -> web.Response:
        """Answer."""
        return web.Response(text="ok")

    async def healthz(self, _request: web.Request) -> web.Response:
        """Tell whether everything is followed."""
        troubles = [*self._troubles(), *self._tenants.troubles()]
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
        await self._carriage.add(config)
        return _json({"name": config.tenant.name}, status=201)

    async def remove(self, request: web.Request) -> web.Response:
        """Stop carrying a tenant."""
        name = request.match_info["name"]
        await self._carriage.remove(name)
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

    async def replaced(self, request: web.Request) -> web.Response:
        """Bring a tenant with a new controller manager back to its baseline."""
        name, freeze = request.match_info["name"], parse_restart(await request.read(), order="replaced")
        async with self._gateways.shut(name):
            return _json(await self._recyclers.recycle_awake(name, freeze=freeze))

    async def checkpoint(self, request: web.Request) -> web.Response:
        """Take a checkpoint."""
        return _json({"checkpoint": await self._recyclers.checkpoint(request.match_info["name"])})

    async def restore(self, request: web.Request) -> web.Response:
        """Bring a tenant back to a checkpoint."""
        name = parse_restore(await request.read())
        return _json(await self._recyclers.restore(request.match_info["name"], name))

    async def state(self, request: web.Request) -> web.Response:
        """Tell all that is stored of a tenant."""
        return _json(await self._recyclers.state(request.match_info["name"]))

    async def changes(self, request: web.Request) -> web.Response:
        """Tell what was written since a revision."""
        since = parse_since(request.query.get("since", ""))
        found = await self._recyclers.changes(request.match_info["name"], since)
        keys = [key.decode(errors="replace") for key in found.stamps]
        return _json({"revision": found.revision, "changed": keys, "total": found.total})

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

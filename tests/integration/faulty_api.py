"""An HTTP proxy between a syncer and an API server, to do to requests what servers do on a bad day.

The server behind it is a real one. A rule sees each request before it is passed on, and may answer in its place, wait,
or do something else first; a watch can fall silent while it stays open.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web
from two_api_servers import Server
from vcluster_syncer.kube import kubeconfig
from vcluster_syncer.kube.sockets import Sockets

Rule = Callable[[web.Request], Awaitable[web.Response | None]]
_PASSED_ON = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class FaultyApi:
    """Passes requests on, unless its rule knows better."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.rule: Rule = self.no_fault
        self.muted = False
        """Whether nothing that watches tell is passed on."""
        self._session = session
        self._target = url
        self._url = ""

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, server: Server) -> AsyncIterator[FaultyApi]:
        """A proxy of `server`, without any faults yet."""
        known = kubeconfig.load(server.kubeconfig)
        async with contextlib.AsyncExitStack() as stack:
            sockets = Sockets()
            stack.push_async_callback(sockets.close)
            tls = kubeconfig.ssl_context(known)
            connector = aiohttp.TCPConnector(limit=0, ssl=tls, socket_factory=sockets.make)
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, auto_decompress=False))
            proxy = cls(session, known.url)
            app = web.Application(client_max_size=64 << 20)
            app.router.add_route("*", "/{path:.*}", proxy._serve)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            proxy._url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield proxy
            finally:
                await runner.cleanup()

    def write_kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig that leads here."""
        cluster = {"name": "it", "cluster": {"server": self._url}}
        context = {"name": "it", "context": {"cluster": "it", "user": "it"}}
        users = [{"name": "it", "user": {"token": "the proxy has its own credentials"}}]
        document = {"current-context": "it", "contexts": [context], "clusters": [cluster], "users": users}
        path.write_text(yaml.safe_dump(document))
        return path

    @staticmethod
    async def no_fault(_request: web.Request) -> web.Response | None:
        """Leave every request as it is."""
        return None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        answer = await self.rule(request)
        return answer if answer is not None else await self.forward(request)

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Pass a request on, and its answer back."""
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        try:
            async with self._session.request(
                request.method,
                f"{self._target}{request.path_qs}",
                data=await request.read() or None,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None),
            ) as there:
                if not is_watch(request):
                    kept = {
                        name: there.headers[name] for name in ("Content-Type", "Retry-After") if name in there.headers
                    }
                    return web.Response(status=there.status, body=await there.read(), headers=kept)
                return await self._stream(request, there)
        except aiohttp.ClientError:
            # The server is away: so are we.
            if request.transport is not None:
                request.transport.abort()
            raise asyncio.CancelledError from None

    async def _stream(self, request: web.Request, there: aiohttp.ClientResponse) -> web.StreamResponse:
        here = web.StreamResponse(status=there.status)
        await here.prepare(request)
        async for data in there.content.iter_any():
            if not self.muted:
                await here.write(data)
        return here


def is_watch(request: web.Request) -> bool:
    """Whether the answer never ends."""
    return request.query.get("watch") == "1"


def failure(code: int, reason: str, **headers: str) -> web.Response:
    """What an API server answers that can't."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "code": code,
        "message": reason,
    }
    return web.Response(status=code, text=json.dumps(body), content_type="application/json", headers={**headers})

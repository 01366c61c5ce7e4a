"""Sends prepared requests to one API server.

The one rule: errors of the HTTP library end here. Whatever goes wrong on the way is `Unreachable`, whatever the server
refuses is what `responses` makes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp

from vcluster_syncer.kube.errors import Unreachable
from vcluster_syncer.kube.kubeconfig import Server, ssl_context
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.kube.responses import Lines, Page, parse_error, parse_object, parse_page
from vcluster_syncer.kube.sockets import Sockets

# Below what an API server allows an idle connection (Go's default for it is 90 s), so that it is us who close.
_KEEP_IDLE = 60.0
_CONNECT = 10.0
_SESSIONS = 3

# What an HTTP client can raise. aiohttp raises bare OSError and TimeoutError too.
_NO_ANSWER = (aiohttp.ClientError, OSError, TimeoutError)


class Client:
    """Talks to one API server over as many connections as there are requests at a time; keeps them open.

    How many requests there are at a time is for the caller to bound: a limit here would let watches, which never end,
    starve writes.
    """

    def __init__(self, connect: Callable[[], aiohttp.ClientSession], server: Server, *, timeout: float) -> None:
        self._connect = connect
        # New requests use the last; in the others requests and watches come to their own end.
        self._sessions = [connect()]
        self._base = server.url
        self._server = server
        self._server_name = server.server_name or None
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, _CONNECT))

    @classmethod
    @asynccontextmanager
    async def open(cls, server: Server, *, timeout: float = 30.0) -> AsyncIterator[Client]:
        """A client of `server`, whose connections are closed at the end; KubeconfigError for unusable certificates."""
        tls = ssl_context(server)
        # gzip would cost more than it saves on the way to a server nearby.
        headers = {"User-Agent": "vcluster-syncer", "Accept-Encoding": "identity"}

        sockets = Sockets()

        def connect() -> aiohttp.ClientSession:
            connector = aiohttp.TCPConnector(
                limit=0, ssl=True if tls is None else tls, keepalive_timeout=_KEEP_IDLE, socket_factory=sockets.make
            )
            return aiohttp.ClientSession(
                connector=connector, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )

        client = cls(connect, server, timeout=timeout)
        try:
            yield client
        finally:
            await client._keep_sessions(0)
            await sockets.close()

    async def send(self, request: Request) -> dict[str, Any]:
        """Send a request that answers with an object; a KubeError otherwise."""
        return parse_object(await self._send(request), request=str(request))

    async def send_raw(self, request: Request) -> bytes:
        """Send a request that answers with a document, and return it as it is."""
        return await self._send(request)

    async def send_list(self, request: Request) -> Page:
        """Send a request that answers with a page of a list."""
        return parse_page(await self._send(request), request=str(request))

    @asynccontextmanager
    async def stream(self, request: Request, *, silence: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """Send a request that answers line by line; Unreachable if nothing comes for `silence` seconds."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=silence)
        session = self._sessions[-1]
        try:
            async with AsyncExitStack() as stack:
                try:
                    # The answer begins at once, however long it is until there is something to tell.
                    async with asyncio.timeout(self._timeout.total):
                        response = await stack.enter_async_context(self._request(request, timeout))
                except TimeoutError:
                    await self._distrust(session)
                    raise
                if response.status >= 300:
                    raise parse_error(response.status, await response.read(), response.headers, request=str(request))
                yield self._lines(response)
        except _NO_ANSWER as error:
            raise _unreachable(error, request) from error

    @staticmethod
    async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        lines = Lines()
        while data := await response.content.readany():
            for line in lines.feed(data):
                yield line

    async def _send(self, request: Request) -> bytes:
        session = self._sessions[-1]
        try:
            async with self._request(request, self._timeout) as response:
                body = await response.read()
        except _NO_ANSWER as error:
            if isinstance(error, TimeoutError):
                await self._distrust(session)
            raise _unreachable(error, request) from error
        if response.status >= 300:
            raise parse_error(response.status, body, response.headers, request=str(request))
        return body

    @asynccontextmanager
    async def _request(self, request: Request, timeout: aiohttp.ClientTimeout) -> AsyncIterator[aiohttp.ClientResponse]:
        token = self._server.bearer()
        async with self._request_as(token, request, timeout) as response:
            if response.status != 401 or not self._server.refused(token):
                yield response
                return
        # It was carried out by nobody, so it may be sent again.
        async with self._request_as(self._server.bearer(), request, timeout) as response:
            yield response

    @asynccontextmanager
    async def _request_as(
        self, token: str, request: Request, timeout: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept": request.accept}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        async with self._sessions[-1].request(
            request.method,
            self._base + request.path,
            data=request.body,
            headers=headers,
            timeout=timeout,
            server_hostname=self._server_name,
            allow_redirects=False,
        ) as response:
            try:
                yield response
            except BaseException:
                # Not closed but cut: TLS says goodbye first, and waits for an answer of a peer that may be gone.
                if response.connection is not None and response.connection.transport is not None:
                    response.connection.transport.abort()
                raise

    async def _distrust(self, session: aiohttp.ClientSession) -> None:
        """Have new requests make new connections, after one in `session` got no answer.

        Whatever swallowed it may have swallowed every idle connection beside it, and each would cost another timeout
        to find out.
        """
        if session is self._sessions[-1]:
            self._sessions.append(self._connect())
            await self._keep_sessions(_SESSIONS)

    async def _keep_sessions(self, number: int) -> None:
        """Close the oldest sessions and all connections in them."""
        while len(self._sessions) > number:
            await self._sessions.pop(0).close()


def _unreachable(error: BaseException, request: Request) -> Unreachable:
    if isinstance(error, TimeoutError):
        return Unreachable("no answer in time", request=str(request))
    return Unreachable(f"{type(error).__name__}: {error}", request=str(request))

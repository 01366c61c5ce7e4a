"""A TLS server that asks every client for a certificate, and passes what it asks on to another server.

The one rule: one request a connection, and only a connection that was upgraded is a tunnel: what a client sends after
the head of any other request goes nowhere, so no second request can hide behind the first.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson

from vcluster_syncer.config import EndpointConfig
from vcluster_syncer.gateway.http import (
    END,
    LONGEST,
    Malformed,
    Request,
    Response,
    parse_request,
    parse_response,
    render_response,
    render_text,
)
from vcluster_syncer.gateway.routes import Refused
from vcluster_syncer.gateway.tunnel import Connection, deliver, tunnel, while_there

_log = logging.getLogger(__name__)
_HEAD_SECONDS = 10.0
# The host's API server connects to a kubelet before it answers.
_ANSWER_SECONDS = 60.0
_SWITCHING = 101
_LONGEST_REFUSAL = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Onward:
    """Where a request goes on to."""

    dial: Callable[[], Awaitable[Connection]]
    head: bytes
    scrub: Callable[[str], str]
    """Makes of what the other side says about a refusal what whoever asked may read."""
    patient: bool = False
    """The answer may take as long as it likes to begin: a log that is followed begins with its next line."""


Route = Callable[[Request], Onward]
"""Where a request goes on to; Refused if it doesn't."""


def server_tls(listen: EndpointConfig) -> ssl.SSLContext:
    """The TLS side of an endpoint; OSError for files that are missing or wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(listen.certificate, listen.key)
    context.load_verify_locations(listen.client_authority)
    context.verify_mode = ssl.CERT_REQUIRED
    # HTTP/2 has no connection that could be handed over.
    context.set_alpn_protocols(["http/1.1"])
    return context


class Endpoint:
    """A server that runs; made by `opened`."""

    def __init__(self, route: Route) -> None:
        self.port = 0
        self._route = route
        self._open: dict[asyncio.Task[None], Connection] = {}
        self._shut = 0

    @classmethod
    @asynccontextmanager
    async def opened(cls, listen: EndpointConfig, route: Route) -> AsyncIterator[Endpoint]:
        """Listen; when this ends no connection is left."""
        endpoint = cls(route)
        server = await asyncio.start_server(
            endpoint._accept,
            listen.listen or listen.address,
            listen.port,
            ssl=server_tls(listen),
            ssl_handshake_timeout=_HEAD_SECONDS,
            limit=LONGEST,
        )
        endpoint.port = server.sockets[0].getsockname()[1]
        try:
            yield endpoint
        finally:
            server.close()
            await endpoint.cut()

    @asynccontextmanager
    async def shut(self) -> AsyncIterator[None]:
        """Cut every connection, and let nobody in meanwhile."""
        self._shut += 1
        try:
            await self.cut()
            yield
        finally:
            self._shut -= 1

    async def cut(self) -> None:
        """End every connection at once."""
        tasks = list(self._open)
        for task in tasks:
            self._open[task].abort()
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._open)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Connection(reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = client
        try:
            await self._serve(client)
            await client.close()
        except asyncio.CancelledError:
            # By `cut`, which waits for this to end; or the loop ends, and nobody waits at all.
            client.abort()
        except OSError as error:
            _log.debug("a client went away: %s", error)
            client.abort()
        except Exception:
            _log.exception("a request failed")
            client.abort()
        finally:
            del self._open[task]

    async def _serve(self, client: Connection) -> None:
        client.keep_alive()
        try:
            request = await _request(client)
            if request is None:
                return
            if request.path == ("healthz",):
                client.writer.write(render_text(200, "ok"))
            elif self._shut:
                client.writer.write(render_text(503, "the cluster is being recycled"))
            else:
                await self._pass_on(client, request)
        except Refused as error:
            client.writer.write(render_text(error.status, str(error)))

    async def _pass_on(self, client: Connection, request: Request) -> None:
        onward = self._route(request)
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                host = await onward.dial()
        except TimeoutError as error:
            raise Refused(504, f"the host's API server was not reached within {_HEAD_SECONDS:g} s") from error
        except OSError as error:
            raise Refused(502, f"the host's API server can't be reached: {error}") from error
        try:
            host.keep_alive()
            host.writer.write(onward.head)
            answer = await while_there(client, _response(host, None if onward.patient else _ANSWER_SECONDS))
            if answer.status == _SWITCHING and request.upgrades:
                client.writer.write(render_response(answer.status, answer.reason, answer.headers))
                await tunnel(client, host)
            elif answer.status < 300 and not request.upgrades:
                headers = [field for field in answer.headers if field[0] not in ("connection", "keep-alive")]
                client.writer.write(render_response(answer.status, answer.reason, [*headers, ("connection", "close")]))
                await while_there(client, deliver(host.reader, client.writer))
            else:
                said = await while_there(client, _refusal(host, answer))
                raise Refused(answer.status if answer.status >= 400 else 502, onward.scrub(said))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, Malformed) as error:
            raise Refused(502, f"the host's API server did not answer as expected: {error}") from error
        except TimeoutError as error:
            raise Refused(504, f"the host's API server did not answer within {_ANSWER_SECONDS:g} s") from error
        finally:
            host.abort()


async def _request(client: Connection) -> Request | None:
    """The request of a new connection; None if none comes."""
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            return parse_request(await client.reader.readuntil(END))
    except (asyncio.IncompleteReadError, TimeoutError):
        return None
    except asyncio.LimitOverrunError as error:
        raise Refused(431, f"the request's head is longer than {LONGEST} bytes") from error
    except Malformed as error:
        raise Refused(400, str(error)) from error


async def _response(host: Connection, seconds: float | None) -> Response:
    async with asyncio.timeout(seconds):
        return parse_response(await host.reader.readuntil(END))


async def _refusal(host: Connection, answer: Response) -> str:
    """What the host says of its refusal, without the form it says it in."""
    async with asyncio.timeout(_HEAD_SECONDS):
        body = await _body(host, answer)
    try:
        return str(orjson.loads(body)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return body.decode(errors="replace").strip() or f"the host answered {answer.status} {answer.reason}"


async def _body(host: Connection, answer: Response) -> bytes:
    if length := answer.headers.first("content-length"):
        return await host.reader.readexactly(min(_number(length, 10), _LONGEST_REFUSAL))
    if "chunked" not in answer.headers.words("transfer-encoding"):
        return await host.reader.read(_LONGEST_REFUSAL)
    body = b""
    while size := _number((await host.reader.readuntil(b"\r\n")).decode("latin-1").partition(";")[0], 16):
        if len(body) + size > _LONGEST_REFUSAL:
            break
        body += (await host.reader.readexactly(size + 2))[:-2]
    return body


def _number(text: str, base: int) -> int:
    try:
        return int(text, base)
    except ValueError as error:
        raise Malformed(f"{text[:20]!r} is no length") from error

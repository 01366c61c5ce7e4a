"""Where the API server reaches a webhook that the test process serves, and what both sides need for TLS.

The one rule: the server may listen on loopback, as a test's server should. Where the API server is in a container, a
relay at the address that containers reach brings it there, for as long as the lease lasts.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vcluster.errors import NotAvailableOnHost
from pytest_vcluster.private_files import write_private

if TYPE_CHECKING:
    from pytest_vcluster.cluster.lease import Lease

LOOPBACK = "127.0.0.1"
WAY_BACK = "way_back"
"""The fact of a lease's host that tells at which address its API servers reach this machine."""
_HOSTS = ("embedded", "kind")
_CHUNK = 64 << 10
_NOT_OURS = (errno.EADDRNOTAVAIL, errno.ENOENT)


class WebhookClientConfig(dict[str, str]):
    """The `clientConfig` of a webhook (`url` and `caBundle`), and the certificate that its server has to show."""

    def __init__(self, *, url: str, ca_bundle: str, certificate: Path, key: Path) -> None:
        super().__init__(url=url, caBundle=ca_bundle)
        self.certificate = certificate
        """PEM file for the server."""
        self.key = key
        """PEM file for the server, readable to this user only."""

    def at(self, path: str) -> WebhookClientConfig:
        """The same for another path of the server: `config.at("/mutate")`."""
        url = f"{self['url'].rstrip('/')}/{path.lstrip('/')}"
        return WebhookClientConfig(url=url, ca_bundle=self["caBundle"], certificate=self.certificate, key=self.key)

    def ssl_context(self) -> ssl.SSLContext:
        """What a server of Python's own wraps its socket with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(self.certificate), str(self.key))
        return context


@contextlib.contextmanager
def reachable(lease: Lease, directory: Path, port: int) -> Iterator[WebhookClientConfig]:
    """What makes `lease`'s API server call 127.0.0.1:`port` of this machine; files are put into `directory`."""
    from pytest_vcluster.controlplane.pki import CertificateAuthority  # noqa: PLC0415 - start-up time

    address = lease.grant.host.get(WAY_BACK)
    if not address:
        raise NotAvailableOnHost.of("webhook()", host=lease.grant.host["kind"], hosts=_HOSTS)
    with contextlib.ExitStack() as stack:
        reached = port if address == LOOPBACK else stack.enter_context(relayed(address, port))
        authority = CertificateAuthority.new(f"{lease.grant.cluster}-webhooks")
        pair = authority.server("webhook", hosts=(address, LOOPBACK, "localhost"))
        directory.mkdir(mode=0o700, exist_ok=True)
        yield WebhookClientConfig(
            url=f"https://{address}:{reached}/",
            ca_bundle=base64.b64encode(authority.certificate.encode()).decode(),
            certificate=write_private(directory / f"{port}.crt", pair.certificate),
            key=write_private(directory / f"{port}.key", pair.key),
        )


@contextlib.contextmanager
def relayed(address: str, port: int) -> Iterator[int]:
    """A port at `address` that leads to the one on loopback; `port` itself where the address is not this machine's.

    The latter is so where containers run in a machine of their own (macOS): it brings them to our loopback by itself.
    """
    from pytest_vcluster.controlplane import streams  # noqa: PLC0415 - start-up time

    listening: Future[int] = Future()

    async def work() -> None:
        try:
            # Bound here, because asyncio tells since Python 3.13 that an address can't be had, but no longer why.
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            bound = socket.create_server((address, 0), family=family)
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
            listening.set_result(port)
            return
        server = await asyncio.start_server(lambda *ends: _relay(port, *ends), sock=bound)
        async with server:
            listening.set_result(server.sockets[0].getsockname()[1])
            await asyncio.Event().wait()

    ended, cancel = streams.in_thread(work, name="webhook-relay")
    ended.add_done_callback(_passing_on(listening))
    try:
        yield listening.result()
    finally:
        cancel()


def _passing_on(listening: Future[int]) -> Callable[[Future[None]], None]:
    def done(ended: Future[None]) -> None:
        if not listening.done():
            error = None if ended.cancelled() else ended.exception()
            listening.set_exception(error or RuntimeError("it ended before it began"))

    return done


async def _relay(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        # The API server sees what it would see without a relay: a connection that is cut.
        writer.transport.abort()
        return
    try:
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
    except OSError:
        writer.transport.abort()
    finally:
        inner_writer.close()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()

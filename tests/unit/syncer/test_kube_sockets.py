"""Connections of a client that is closed, in front of a server that says nothing any more."""

import asyncio
import contextlib
import gc
import socket
import ssl
import threading

import pytest
from vcluster_syncer.kube import requests
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.model import PODS

from pytest_vcluster.controlplane.pki import CertificateAuthority

SECONDS = 20.0


class Silent:
    """A server that greets, if it is to, and then never reads or writes again."""

    def __init__(self, tls: ssl.SSLContext, *, greets: bool) -> None:
        self.accepted = threading.Event()
        self._tls = tls
        self._greets = greets
        self._stack = contextlib.ExitStack()
        self._listening = self._stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join()
        self._stack.close()

    def _accept(self) -> None:
        accepted, _ = self._listening.accept()
        if self._greets:
            accepted = self._tls.wrap_socket(accepted, server_side=True)
        self._stack.enter_context(accepted)
        self.accepted.set()


@pytest.fixture(scope="module")
def authority():
    return CertificateAuthority.new("servers")


@pytest.fixture(scope="module")
def tls(tmp_path_factory, authority):
    pair = authority.server("server", hosts=["127.0.0.1"])
    path = tmp_path_factory.mktemp("pki") / "server.pem"
    path.write_text(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize("greets", [True, False], ids=["after TLS's greeting", "before TLS's greeting"])
def test_a_closed_client_leaves_no_connection_though_its_server_is_silent(authority, tls, greets):
    async def main(silent):
        async with Client.open(Server(url=silent.url, certificate_authority=authority.pair.certificate)) as client:
            asking = asyncio.create_task(client.send_list(requests.list_page(PODS)))
            assert await asyncio.to_thread(silent.accepted.wait, SECONDS)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    with Silent(tls, greets=greets) as silent:
        asyncio.run(main(silent))
        gc.collect()  # an open transport says so when it is collected, which is an error here


def test_a_closed_client_leaves_no_connection_that_was_just_being_made(authority):
    async def main(url, turns):
        async with Client.open(Server(url=url, certificate_authority=authority.pair.certificate)) as client:
            asking = asyncio.create_task(client.send_list(requests.list_page(PODS)))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        for turns in range(20):
            asyncio.run(main(f"https://127.0.0.1:{listening.getsockname()[1]}", turns))
    gc.collect()

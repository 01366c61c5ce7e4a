"""The way back from an API server in a container to a server of the test: the relay, and what both sides show."""

import base64
import errno
import socket
import socketserver
import ssl
import threading
from types import SimpleNamespace

import pytest

from pytest_vcluster.cluster import webhooks


@pytest.fixture
def echo():
    """A server at loopback that sends back what it gets, and then closes."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self):
            while data := self.request.recv(65536):
                self.request.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def lease(**host):
    return SimpleNamespace(grant=SimpleNamespace(cluster="vc-1", host={"kind": "kind", **host}))


def ask(address, data):
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_bytes_pass_a_relay_both_ways(echo):
    with webhooks.relayed("127.0.0.2", echo) as port:
        assert port != 0
        data = bytes(range(256)) * 4096
        assert ask(("127.0.0.2", port), data) == data
    with pytest.raises(ConnectionRefusedError):
        ask(("127.0.0.2", port), b"")


def test_nobody_behind_a_relay_is_a_connection_that_ends():
    with webhooks.relayed("127.0.0.2", 1) as port:
        try:
            answer = ask(("127.0.0.2", port), b"x")
        except OSError as cut:  # while it was asked, or before it had done
            assert isinstance(cut, ConnectionError) or cut.errno == errno.ENOTCONN
            answer = b""
        assert answer == b""


def test_an_address_of_another_machine_needs_no_relay():
    with webhooks.relayed("192.0.2.1", 8443) as port:
        assert port == 8443


def test_on_loopback_the_server_is_called_directly(tmp_path):
    with webhooks.reachable(lease(way_back="127.0.0.1"), tmp_path / "w", 8443) as config:
        assert config["url"] == "https://127.0.0.1:8443/"
        assert config.at("/mutate")["url"] == "https://127.0.0.1:8443/mutate"
        assert sorted(config) == ["caBundle", "url"]


def test_its_certificate_is_what_the_api_server_will_trust(tmp_path, echo):
    with webhooks.reachable(lease(way_back="127.0.0.1"), tmp_path / "w", echo) as config:
        authority = base64.b64decode(config["caBundle"]).decode()
        client, server = socket.socketpair()

        def serve():
            with config.ssl_context().wrap_socket(server, server_side=True) as secured:
                secured.sendall(b"hello")

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        context = ssl.create_default_context(cadata=authority)
        with context.wrap_socket(client, server_hostname="127.0.0.1") as secured:
            assert secured.recv(5) == b"hello"
        serving.join()
        assert config.key.stat().st_mode & 0o777 == 0o600

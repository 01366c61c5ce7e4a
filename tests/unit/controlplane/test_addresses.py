import errno
import socket

import pytest

from pytest_vcluster.controlplane import addresses
from pytest_vcluster.errors import ProvisionError


def test_every_cluster_gets_an_address_of_its_own():
    chosen = {addresses.for_api_server(own_ip=True).ip for _ in range(50)}
    assert len(chosen) == 50
    assert all(64 <= int(ip.split(".")[1]) < 128 for ip in chosen)


def test_without_own_addresses_the_port_tells_clusters_apart():
    address = addresses.for_api_server(own_ip=False)
    assert address.ip == "127.0.0.1"
    assert address.port != addresses.API_SERVER_PORT
    assert address.url == f"https://127.0.0.1:{address.port}"


def test_servers_of_one_cluster_are_told_by_their_ports():
    own = addresses.Address("127.64.0.1", addresses.API_SERVER_PORT)
    assert addresses.beside(own, 10250) == addresses.Address("127.64.0.1", 10250)


def test_without_own_addresses_another_server_takes_any_port():
    address = addresses.for_api_server(own_ip=False)
    other = addresses.beside(address, 10250)
    assert other.ip == address.ip
    assert other.port not in (address.port, 10250)


@pytest.mark.parametrize("code", [errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.ENOBUFS])
def test_exhausted_addresses_are_one_clear_error(monkeypatch, code):
    def refuse(self, address):
        raise OSError(code, "no more")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ProvisionError, match="No address for an API server.*--vcluster-pool|(?s:.*)--vcluster-pool"):
        addresses.for_api_server(own_ip=True)

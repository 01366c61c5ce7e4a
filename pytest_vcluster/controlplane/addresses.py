"""Where servers listen: a loopback address of its own for every cluster, where the system has them.

The one rule: two clusters never share an address, not even over runs. kubectl, helm and the dynamic client cache what
an API server offers, for hours and across processes, under the server's address: a second cluster at the same address
would be read with the first one's CRDs. Linux answers on all of 127.0.0.0/8 without set-up; elsewhere (macOS) only
127.0.0.1 exists, and the port has to tell clusters apart.
"""

from __future__ import annotations

import errno
import secrets
import socket
import sys
from dataclasses import dataclass

from pytest_vcluster.errors import ProvisionError

API_SERVER_PORT = 6443
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address and a TCP port on it."""

    ip: str
    port: int

    @property
    def url(self) -> str:
        """The https URL of this address."""
        return f"https://{self.ip}:{self.port}"


def beside(address: Address, port: int) -> Address:
    """Choose where another server of the cluster listens whose API server has `address`: at `port`, if it can be."""
    if address.port == API_SERVER_PORT:
        return Address(address.ip, port)
    with socket.socket() as probe:
        probe.bind((address.ip, 0))
        return Address(address.ip, probe.getsockname()[1])


def for_api_server(*, own_ip: bool = sys.platform == "linux") -> Address:
    """Choose a free address for one API server; ProvisionError when the machine has none left.

    With `own_ip` the address is a random one of 127.64.0.0/10, which keeps clear of 127.0.0.0/16, where name services
    live (127.0.0.53), and the port is the usual one. Without, it is a free port of 127.0.0.1.
    """
    failure: OSError | None = None
    for _ in range(_ATTEMPTS):
        ip = (
            f"127.{64 + secrets.randbelow(64)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
            if own_ip
            else "127.0.0.1"
        )
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((ip, API_SERVER_PORT if own_ip else 0))
                return Address(ip, probe.getsockname()[1])
        except OSError as error:
            failure = error
            if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                break
    raise ProvisionError(
        f"No address for an API server: {failure}.\n"
        f"Checked: {_ATTEMPTS} loopback addresses ({'127.64.0.0/10' if own_ip else '127.0.0.1, any free port'}).\n"
        "Free some ports, or run with fewer workers (-n) or a smaller --vcluster-pool."
    ) from failure

"""The way to a leased cluster's API server.

The one rule: whoever asks from a thread of his own asks by connections of his own, all closed when the lease is over.
"""

from __future__ import annotations

import contextlib
import ipaddress
import tempfile
from pathlib import Path

from pytest_vcluster.cluster.rest import Rest, tls_context
from pytest_vcluster.service.lease_terms import Grant
from soak.model import SERVICE_ADDRESS


class Access:
    """An administrator's access to the cluster of a grant."""

    def __init__(self, grant: Grant, *, timeout: float) -> None:
        self._url = grant.url
        self._timeout = timeout
        self._closing = contextlib.ExitStack()
        with tempfile.TemporaryDirectory(prefix="soak-") as name:
            certificate, key = Path(name, "crt"), Path(name, "key")
            key.touch(mode=0o600)
            certificate.write_text(grant.client_certificate)
            key.write_text(grant.client_key)
            authority = grant.certificate_authority
            self._tls = tls_context(certificate_authority=authority, certificate=certificate, key=key)

    def open(self) -> Rest:
        """Connections for one thread."""
        rest = Rest(self._url, tls=self._tls, timeout=self._timeout)
        self._closing.callback(rest.close)
        return rest

    def close(self) -> None:
        """Close all connections."""
        self._closing.close()


class ServiceRange:
    """The Service addresses of one cluster, by their place in its range."""

    def __init__(self, cidr: str) -> None:
        self._network = ipaddress.ip_network(cidr)

    @classmethod
    def of(cls, rest: Rest) -> ServiceRange:
        """Ask the cluster."""
        found = rest.call("GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")
        return cls(found["spec"]["cidrs"][0])

    def address(self, place: int) -> str:
        """The address at this place."""
        return str(self._network[place])

    def place(self, text: str) -> str:
        """An address as the placeholder for its place; any other text as it is."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return text
        if address not in self._network:
            return text
        return SERVICE_ADDRESS % (int(address) - int(self._network.network_address))

"""The official Kubernetes client, made for one cluster.

Its own way from a kubeconfig leaves key files in the temporary folder until the process exits, finds them again by
content when they are long gone, and listens to proxies of the environment. The one rule: this client has the handle's
files and connections, and loses both with it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kubernetes import client


@contextlib.contextmanager
def make_client(url: str, *, certificate: Path, key: Path, authority: Path) -> Iterator[client.ApiClient]:
    """Yield a client of the API server at `url`."""
    configuration = client.Configuration(host=url)
    configuration.ssl_ca_cert = str(authority)
    configuration.cert_file = str(certificate)
    configuration.key_file = str(key)
    configuration.proxy = None
    with client.ApiClient(configuration) as made:
        try:
            yield made
        finally:
            # Closing the client closes its threads only.
            made.rest_client.pool_manager.clear()

"""The host's API server, as this plugin itself talks to it.

The one rule: the kubeconfig that was named, the context that was named, nothing ambient. The official client's loader
reads it, because it knows every way to be let in (certificates, tokens, programs); requests go over one connection each
for the thread that makes them.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.errors import HostError


@dataclass(frozen=True, slots=True, kw_only=True)
class HostServer:
    """How the host's API server is reached."""

    url: str
    configuration: Any
    """The official client's `Configuration`; it renews what expires."""
    tls: ssl.SSLContext | None

    @classmethod
    def load(cls, kubeconfig: Path, context: str | None, *, files: Path | None = None) -> HostServer:
        """Read `context` (None: the current one) of `kubeconfig`; HostError tells what is wrong with it.

        The official client writes certificates and keys that it finds there into files, which it removes at the end of
        a process that ends by itself: `files` is a folder for them that somebody else removes.
        """
        from kubernetes import client, config  # noqa: PLC0415 - a second

        configuration = client.Configuration()
        try:
            config.load_kube_config(  # type: ignore[no-untyped-call] # the official client has no types
                config_file=str(kubeconfig),
                context=context,
                client_configuration=configuration,
                persist_config=False,
                temp_file_path=None if files is None else str(files),
            )
        except (config.ConfigException, OSError, ValueError) as error:
            raise HostError(
                f"The host's kubeconfig can't be used: {error}.\nChecked: {kubeconfig}, context {context or 'current'}."
            ) from error
        parts = urlsplit(configuration.host)
        return cls(
            url=configuration.host.rstrip("/"),
            configuration=configuration,
            tls=_tls(configuration) if parts.scheme == "https" else None,
        )

    def headers(self) -> Mapping[str, str]:
        """What a request has to bring along to be let in; a token that expires is renewed here."""
        known = self.configuration.auth_settings().get("BearerToken")
        return {known["key"]: known["value"]} if known and known["value"] else {}

    def connect(self, *, timeout: float) -> Client:
        """Open a connection of the caller's own."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        connection = (
            HTTPConnection(parts.hostname, parts.port, timeout=timeout)
            if self.tls is None
            else HTTPSConnection(parts.hostname, parts.port or 443, timeout=timeout, context=self.tls)
        )
        return Client(connection, headers=self.headers, prefix=parts.path.rstrip("/"))


def _tls(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

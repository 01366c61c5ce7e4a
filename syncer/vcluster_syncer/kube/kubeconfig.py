"""Reads a kubeconfig file that was named.

The one rule: explicit, never ambient. `KUBECONFIG` and `~/.kube` are not looked at, nor are service account files
(`in_cluster` does, where the configuration asks for it), and programs named in a kubeconfig are not run.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vcluster_syncer.kube.token_file import TokenFile


class KubeconfigError(Exception):
    """A kubeconfig can't be used; the message tells the file and the entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An API server and how to be let in; certificates and keys are PEM text."""

    url: str
    certificate_authority: str = ""
    client_certificate: str = ""
    client_key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: TokenFile | None = field(default=None, repr=False)
    """Where a token is that changes; it goes before `token`."""
    server_name: str = ""
    """The name in the server's certificate, where it is not the one in `url`."""
    verify: bool = True

    def bearer(self) -> str:
        """The token to send with a request now; empty if there is none."""
        return self.token if self.token_file is None else self.token_file.current()

    def refused(self, token: str) -> bool:
        """Hear that the server did not accept `token`; tells whether `bearer` has another one by now."""
        return self.token_file is not None and self.token_file.refused(token)


def load(path: Path) -> Server:
    """Read the current context of the kubeconfig at `path`; KubeconfigError tells what is wrong with it."""
    try:
        text = path.read_text()
    except OSError as error:
        raise KubeconfigError(f"kubeconfig {path} can't be read: {error.strerror}") from error
    return parse(text, source=path)


def parse(text: str, *, source: Path) -> Server:
    """Read a kubeconfig's text; relative paths in it are relative to `source`, as kubectl has it."""
    document = _document(text, source)
    if not isinstance(document, dict):
        raise KubeconfigError(f"kubeconfig {source} is not a mapping")
    context = _entry(document, "contexts", "context", document.get("current-context"), source)
    cluster = _entry(document, "clusters", "cluster", context.get("cluster"), source)
    user = _entry(document, "users", "user", context.get("user"), source)
    if not cluster.get("server"):
        raise KubeconfigError(f"kubeconfig {source}: cluster {context.get('cluster')!r} has no server")
    for unsupported in ("exec", "auth-provider"):
        if unsupported in user:
            raise KubeconfigError(
                f"kubeconfig {source}: user {context.get('user')!r} gets its credentials by {unsupported!r}, which "
                "would run a program. Give the syncer a client certificate or a token."
            )
    token = user.get("token") or ""
    if not token and user.get("tokenFile"):
        token = _read(source, user["tokenFile"]).strip()
    return Server(
        url=str(cluster["server"]).rstrip("/"),
        certificate_authority=_pem(cluster, "certificate-authority", source),
        client_certificate=_pem(user, "client-certificate", source),
        client_key=_pem(user, "client-key", source),
        token=token,
        server_name=cluster.get("tls-server-name") or "",
        verify=not cluster.get("insecure-skip-tls-verify", False),
    )


def ssl_context(server: Server) -> ssl.SSLContext | None:
    """The TLS side of a server; None for plain HTTP. Certificates of the system are not trusted."""
    if not server.url.startswith("https:"):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not server.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif server.certificate_authority:
        try:
            context.load_verify_locations(cadata=server.certificate_authority)
        except ssl.SSLError as error:
            raise KubeconfigError(f"the certificate authority for {server.url} is not a PEM certificate") from error
    else:
        context.load_default_certs()
    if server.client_certificate:
        _load_client(context, server)
    return context


def _load_client(context: ssl.SSLContext, server: Server) -> None:
    # The ssl module takes a client certificate from a file only. The file lives as long as this call.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(server.client_certificate + "\n" + server.client_key)
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except ssl.SSLError as error:
            raise KubeconfigError(f"client certificate and key for {server.url} don't match or are not PEM") from error


def _document(text: str, source: Path) -> object:
    try:
        # Those of virtual clusters are JSON, and many are read. YAML is for what people write.
        return json.loads(text)
    except ValueError:
        import yaml  # noqa: PLC0415 - start-up time

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise KubeconfigError(f"kubeconfig {source} is not YAML: {error}") from error


def _entry(document: Mapping[str, Any], section: str, key: str, name: object, source: Path) -> Mapping[str, Any]:
    if not name:
        raise KubeconfigError(f"kubeconfig {source} has no current-context, or its context names no {key}")
    entries = [entry for entry in document.get(section) or () if isinstance(entry, dict)]
    for entry in entries:
        if entry.get("name") == name and isinstance(entry.get(key), dict):
            found: Mapping[str, Any] = entry[key]
            return found
    known = ", ".join(str(entry.get("name")) for entry in entries) or "none"
    raise KubeconfigError(f"kubeconfig {source} has no {key} {name!r}; it has: {known}")


def _pem(entry: Mapping[str, Any], name: str, source: Path) -> str:
    inline = entry.get(f"{name}-data")
    if inline:
        try:
            return base64.b64decode(inline, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise KubeconfigError(f"kubeconfig {source}: {name}-data is not base64 of PEM text") from error
    return _read(source, entry[name]) if entry.get(name) else ""


def _read(source: Path, name: str) -> str:
    path = source.parent / name
    try:
        return path.read_text()
    except OSError as error:
        raise KubeconfigError(f"kubeconfig {source} names {path}, which can't be read: {error.strerror}") from error

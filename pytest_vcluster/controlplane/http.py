"""HTTP to our own servers, synchronous and small: etcd over its Unix socket, an API server over TLS.

The one rule: one connection, kept open, used by one thread at a time, and no answer, or half of one, is an OSError.
Callers in the run service wrap calls in `asyncio.to_thread`.

The standard library is enough here, and imports in a tenth of the time of any client library, which the first test of a
run would wait for.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytest_vcluster.errors import ApiError

_JSON = "application/json"


class Unreachable(Exception):
    """An API server gave no answer; whoever knows the lease turns this into an error that says why."""


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a Unix socket."""

    def __init__(self, path: Path, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket (called by the base class when needed)."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """JSON in, JSON out, over one connection that is opened again when the server closed it in between."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        *,
        headers: Callable[[], Mapping[str, str]] = dict,
        prefix: str = "",
    ) -> None:
        """Talk over `connection`; every request has `headers`, asked for each time, and a path below `prefix`."""
        self._connection = connection
        self._headers = headers
        self._prefix = prefix

    @classmethod
    def over_unix(cls, path: Path, *, timeout: float = 30.0) -> Client:
        """Talk to the server at the Unix socket `path`."""
        return cls(UnixConnection(path, timeout=timeout))

    @classmethod
    def over_tls(
        cls, ip: str, port: int, *, authority: Path, certificate: Path, key: Path, timeout: float = 30.0
    ) -> Client:
        """Talk to the API server at `ip`:`port` with a client certificate; all three files are PEM."""
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(str(certificate), str(key))
        return cls(http.client.HTTPSConnection(ip, port, timeout=timeout, context=context))

    def status(self, path: str) -> tuple[int, str]:
        """GET `path`, and return the status and the text; OSError if there is no answer."""
        status, body = self._send("GET", path, None, {})
        return status, body.decode(errors="replace")

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> dict[str, Any]:
        """Send `body` as JSON and return the answer; ApiError for a status of 400 or more, OSError for no answer."""
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        status, answer = self._send(method, path, data, {"Content-Type": content_type, "Accept": accept})
        if status >= 400:
            raise _error(status, answer, method=method, path=path)
        parsed: dict[str, Any] = json.loads(answer) if answer else {}
        return parsed

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()

    def _send(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        reused = self._connection.sock is not None
        try:
            return self._send_once(method, path, data, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # A kept-alive connection that the server closed meanwhile: nothing of the request was processed.
            if not reused:
                raise
            return self._send_once(method, path, data, headers)

    def _send_once(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        try:
            self._connection.request(method, self._prefix + path, body=data, headers={**headers, **self._headers()})
            response = self._connection.getresponse()
            return response.status, response.read()
        except OSError:
            self._connection.close()
            raise
        except http.client.HTTPException as error:
            self._connection.close()
            raise ConnectionError(f"{type(error).__name__}: {error}") from error


def _error(status: int, answer: bytes, *, method: str, path: str) -> ApiError:
    try:
        parsed = json.loads(answer)
        message, reason = str(parsed.get("message", "")), str(parsed.get("reason", ""))
    except (ValueError, AttributeError):
        message, reason = answer.decode(errors="replace")[:500], ""
    return ApiError(message, status=status, reason=reason, method=method, path=path)

"""HTTP to the API server: JSON in, JSON out, one pool of connections.

The one rule: an answer with an error status becomes an `ApiError`, no answer becomes `Unreachable` or `Timeout`, and
nothing of the HTTP library leaks out. No environment variable has a say (a proxy would never reach a loopback address),
and only what is safe to send twice is sent twice.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3 import exceptions

from pytest_vcluster.controlplane.http import Unreachable
from pytest_vcluster.errors import ApiError, Timeout

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"

_CONNECT_SECONDS = 5.0
_RESETS = 2
# Said of custom resources that nobody asked for before: the server asks for a second, and takes milliseconds.
_INITIALIZING = b"storage is (re)initializing"
_INITIALIZING_SECONDS = 0.02
_CONNECTIONS = 4


def tls_context(*, certificate_authority: str, certificate: Path, key: Path) -> ssl.SSLContext:
    """Trust this authority (PEM) and nothing else, and present this client certificate (PEM files)."""
    context = ssl.create_default_context(cadata=certificate_authority)
    context.load_cert_chain(str(certificate), str(key))
    return context


class Rest:
    """A client of one API server; `timeout` (seconds) is for any one request that does not say otherwise."""

    def __init__(self, url: str, *, tls: ssl.SSLContext | None, timeout: float) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._timeout = timeout
        self._pool = (
            urllib3.HTTPConnectionPool(parts.hostname, parts.port, maxsize=_CONNECTIONS)
            if tls is None
            else urllib3.HTTPSConnectionPool(parts.hostname, parts.port, maxsize=_CONNECTIONS, ssl_context=tls)
        )
        self.url = url
        self.tls = tls

    def headers(self) -> Mapping[str, str]:
        """Nothing: whoever connects shows a certificate."""
        return {}

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Send a request, `body` as JSON, and return the answer."""
        response = self._send(
            method,
            path,
            query=query or {},
            data=None if body is None else json.dumps(body, allow_nan=False, separators=(",", ":")).encode(),
            headers={"Accept": accept, **({} if body is None else {"Content-Type": content_type})},
            timeout=self._timeout if timeout is None else timeout,
            stream=False,
        )
        return _parsed(response.data, method=method, path=path)

    def text(self, path: str, *, query: Mapping[str, str], timeout: float) -> str:
        """Send a request that answers with text."""
        response = self._send(
            "GET", path, query=query, data=None, headers={"Accept": "*/*"}, timeout=timeout, stream=False
        )
        return response.data.decode(errors="replace")

    def watch(self, path: str, *, query: Mapping[str, str], timeout: float) -> Iterator[dict[str, Any]]:
        """Yield watch events as they come, until the server ends the watch or is silent for `timeout` seconds."""
        response = self._send(
            "GET",
            path,
            query={**query, "watch": "1"},
            data=None,
            headers={"Accept": JSON},
            timeout=timeout,
            stream=True,
        )
        rest = b""
        try:
            for chunk in response.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line:
                        yield json.loads(line)
        except exceptions.ReadTimeoutError:
            return
        except exceptions.HTTPError as error:
            raise Unreachable(f"{self.url}: the watch of {path} broke: {error}") from error
        finally:
            response.close()

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        data: bytes | None,
        headers: Mapping[str, str],
        timeout: float,
        stream: bool,
    ) -> urllib3.BaseHTTPResponse:
        target = f"{path}?{urlencode(query)}" if query else path
        # A forced server-side apply leads to the same object however often it is sent.
        repeatable = method in {"GET", "DELETE"} or headers.get("Content-Type") == APPLY
        resets = 0
        began = time.monotonic()
        while True:
            left = max(0.05, began + timeout - time.monotonic())
            try:
                response = self._pool.urlopen(
                    method,
                    target,
                    body=data,
                    headers=headers,
                    retries=False,
                    timeout=urllib3.Timeout(connect=min(left, _CONNECT_SECONDS), read=left),
                    preload_content=not stream,
                )
            except exceptions.ReadTimeoutError as error:
                elapsed = time.monotonic() - began
                raise Timeout(f"{method} {path}", elapsed=elapsed, last_seen="no answer of the API server") from error
            except exceptions.ProtocolError as error:
                resets += 1
                if not repeatable or resets > _RESETS:
                    raise Unreachable(f"{self.url}: {error}") from error
            except exceptions.HTTPError as error:
                raise Unreachable(f"{self.url}: {error}") from error
            else:
                if response.status < 400:
                    return response
                pause = _asked_to_wait(response)
                if pause is None or time.monotonic() + pause > began + timeout:
                    raise _error(response, method=method, path=path)
                response.release_conn()
                time.sleep(pause)


def _asked_to_wait(response: urllib3.BaseHTTPResponse) -> float | None:
    """Seconds after which the server wants the request again; None if it does not."""
    if response.status != 429:
        return None
    if _INITIALIZING in response.data:
        return _INITIALIZING_SECONDS
    with contextlib.suppress(ValueError):
        return max(0.0, float(response.headers.get("Retry-After", "")))
    return None


def _error(response: urllib3.BaseHTTPResponse, *, method: str, path: str) -> ApiError:
    text = response.data.decode(errors="replace")
    response.close()
    message, reason = text[:500].strip(), ""
    with contextlib.suppress(ValueError, AttributeError):
        status = json.loads(text)
        message, reason = str(status.get("message") or message), str(status.get("reason") or "")
    return ApiError(message, status=response.status, reason=reason, method=method, path=path)


def _parsed(data: bytes, *, method: str, path: str) -> dict[str, Any]:
    try:
        parsed = json.loads(data) if data else {}
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        message = f"the answer is no JSON object: {data[:200].decode(errors='replace')}"
        raise ApiError(message, status=200, method=method, path=path)
    return parsed

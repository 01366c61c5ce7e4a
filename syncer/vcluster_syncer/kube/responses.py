"""What an API server answers, made into objects, events and errors.

The one rule: pure, and strict. Bytes that are not what Kubernetes answers become an error that quotes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from vcluster_syncer.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    Rejected,
    ServerFailed,
    TooManyRequests,
)
from vcluster_syncer.model import Object

_QUOTED = 200
_PATIENCE = 1.0

_BY_STATUS: Mapping[int, type[KubeError]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK. An ERROR line is raised, never returned."""

    type: str
    object: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `continue_token` is empty on the last one."""

    items: tuple[dict[str, Any], ...]
    revision: str
    continue_token: str


def parse_object(body: bytes, *, request: str) -> dict[str, Any]:
    """Read the object of a successful answer."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ServerFailed(f"expected a JSON object, got {body[:_QUOTED]!r}", request=request)
    return parsed


def parse_page(body: bytes, *, request: str) -> Page:
    """Read one page of a list. Items of a list carry no kind of their own; they stay so, as in a typed client."""
    parsed = parse_object(body, request=request)
    metadata = parsed.get("metadata") or {}
    return Page(
        items=tuple(parsed.get("items") or ()),
        revision=metadata.get("resourceVersion", ""),
        continue_token=metadata.get("continue", ""),
    )


def parse_event(line: bytes, *, request: str) -> WatchEvent:
    """Read one line of a watch; raise what an ERROR line says."""
    parsed = parse_object(line, request=request)
    obj = parsed.get("object")
    if not isinstance(obj, dict):
        raise ServerFailed(f"expected a watch event, got {line[:_QUOTED]!r}", request=request)
    if parsed.get("type") == "ERROR":
        raise error_of(obj, status=int(obj.get("code") or 500), request=request)
    return WatchEvent(parsed.get("type", ""), obj)


def parse_error(status: int, body: bytes, headers: Mapping[str, str], *, request: str) -> KubeError:
    """Make an answer with a status of 300 or more into an error."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        parsed = {"message": f"HTTP {status}: {_quoted(body)}"}
    return error_of(parsed, status=status, request=request, retry_after=_seconds(headers.get("Retry-After")))


def _quoted(body: bytes) -> str:
    text = body.decode(errors="replace")
    # /readyz lists everything that it looks at, of which what fails is what matters.
    failing = [line for line in text.splitlines() if line.startswith("[-]")]
    return ", ".join(failing)[:_QUOTED] or text[:_QUOTED]


def error_of(answer: Object, *, status: int, request: str, retry_after: float | None = None) -> KubeError:
    """Make a Kubernetes Status object into an error."""
    reason = str(answer.get("reason") or "")
    details = answer.get("details") or {}
    if retry_after is None:
        retry_after = _seconds(details.get("retryAfterSeconds"))
    kind = _BY_STATUS.get(status, Rejected if 400 <= status < 500 else ServerFailed)
    if reason == "AlreadyExists":
        kind = AlreadyExists
    elif reason == "Expired":
        kind = Gone
    if kind is TooManyRequests:
        retry_after = max(retry_after or 0.0, _PATIENCE)
    return kind(
        str(answer.get("message") or f"HTTP {status}"),
        request=request,
        status=status,
        reason=reason,
        fields=frozenset(str(cause.get("field")) for cause in details.get("causes") or () if cause.get("field")),
        retry_after=retry_after,
    )


def _seconds(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        # None, or the date form of Retry-After, which no API server sends.
        return None


class Lines:
    """Cuts a byte stream into lines. What is left without a line end when the stream ends was cut, and is dropped."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that `data` completes, without their ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return (line for line in lines if line)

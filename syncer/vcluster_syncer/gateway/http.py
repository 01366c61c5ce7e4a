"""The head of an HTTP/1.1 message as a value: read from bytes, written to bytes.

The one rule: pure, and strict where it matters. A head that could be read in two ways is refused, for it would be read
in the other way by whoever it is passed on to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

END: bytes = b"\r\n\r\n"
LONGEST = 64 << 10
"""Of a head, in bytes."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Malformed(Exception):
    """Bytes that are no head of an HTTP/1.1 message."""


class Headers(tuple[tuple[str, str], ...]):
    """Header fields in their order; names in lower case."""

    __slots__ = ()

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for known, value in self if known == name]

    def first(self, name: str) -> str:
        """The first value of a field, empty without one."""
        return next(iter(self.all(name)), "")

    def words(self, name: str) -> list[str]:
        """The values of a field that holds lists, taken apart, in lower case."""
        return [word.strip().lower() for value in self.all(name) for word in value.split(",")]


_NO_HEADERS = Headers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked; `path` in its parts, decoded."""

    method: str
    path: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()
    headers: Headers = _NO_HEADERS

    @property
    def upgrades(self) -> bool:
        """Whether the connection is to become one of another protocol."""
        return "upgrade" in self.headers.words("connection") and bool(self.headers.first("upgrade"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """How an answer begins."""

    status: int
    reason: str = ""
    headers: Headers = _NO_HEADERS


def parse_request(raw: bytes) -> Request:
    """Read the head of a request; Malformed."""
    first, headers = _lines(raw)
    parts = first.split(" ")
    if len(parts) != 3 or parts[2] != "HTTP/1.1" or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise Malformed(f"{first[:200]!r} begins no HTTP/1.1 request")
    path, _, query = parts[1].partition("?")
    return Request(
        method=parts[0],
        path=tuple(unquote(part) for part in path.split("/")[1:]),
        query=tuple(parse_qsl(query, keep_blank_values=True)),
        headers=headers,
    )


def parse_response(raw: bytes) -> Response:
    """Read the head of a response; Malformed."""
    first, headers = _lines(raw)
    version, _, rest = first.partition(" ")
    status, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not re.fullmatch(r"[1-5][0-9][0-9]", status):
        raise Malformed(f"{first[:200]!r} begins no HTTP/1.1 response")
    return Response(status=int(status), reason=reason, headers=headers)


def render_request(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Write the head of a request."""
    return _render(f"{method} {target} HTTP/1.1", headers)


def render_response(status: int, reason: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """Write the head of a response."""
    return _render(f"HTTP/1.1 {status} {reason}", headers)


def render_text(status: int, text: str) -> bytes:
    """Write a whole answer of plain text, after which the connection is closed."""
    body = text.encode()
    headers = (
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", str(len(body))),
        ("connection", "close"),
    )
    return render_response(status, HTTPStatus(status).phrase, headers) + body


def _lines(raw: bytes) -> tuple[str, Headers]:
    if not raw.endswith(END):
        raise Malformed("the head has no end")
    first, *fields = raw[: -len(END)].decode("latin-1").split("\r\n")
    return first, Headers(_field(line) for line in fields)


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise Malformed(f"{line[:200]!r} is no header field")
    return name.lower(), value.strip(" \t")


def _render(first: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines: Sequence[str] = [first, *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1") + END

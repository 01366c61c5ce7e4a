"""Reading from download sites that may be slow, far, blocked, or not there at all.

The one rule: a site gets a few seconds to answer once; when it does not, it is not asked again in the same run. Errors
of the HTTP library end here and leave as `WayFailed`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Protocol
from urllib.parse import urlsplit

from pytest_vcluster.toolchain.failures import Missing, Unreachable, WayFailed

_CHUNK = 1 << 20


class Cut(WayFailed):
    """The connection ended, or fell silent, before everything had arrived; a second try may work."""


class _Response(Protocol):
    """What is used of an answer of urllib."""

    status: int

    def read(self, amount: int, /) -> bytes: ...

    def close(self) -> None: ...

    def getheader(self, name: str, /) -> str | None: ...


class Sites:
    """What one run has learnt about download sites."""

    def __init__(self) -> None:
        self._silent: dict[str, str] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def read(
        self, url: str, *, answer_seconds: float, stall_seconds: float, progress: Callable[[str], None]
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Ask for `url`: yields the announced size (0: not announced) and the body in chunks.

        Raises Unreachable when the site does not answer, Missing when it says that there is no such thing, Cut when the
        body ends early, WayFailed otherwise; `progress` is told once for each site that does not answer.
        """
        site = urlsplit(url).netloc
        with self._lock:
            if site in self._silent:
                raise Unreachable(self._silent[site])
        try:
            response = _answer(url, answer_seconds=answer_seconds, stall_seconds=stall_seconds)
        except _Silent as silent:
            reason = f"{site} can't be reached ({silent})"
            with self._lock:
                first = self._silent.setdefault(site, reason) is reason
            if first:
                progress(f"{reason}: it is not asked again in this run, the next way is tried")
            raise Unreachable(reason) from None
        with contextlib.closing(response):
            announced = response.getheader("Content-Length") or ""
            size = int(announced) if announced.isdecimal() else 0
            yield size, _body(response, url, size=size)


class _Silent(Exception):
    """Nobody answers at that address."""


def _body(response: _Response, url: str, *, size: int) -> Iterator[bytes]:
    seen = 0
    while True:
        try:
            chunk = response.read(_CHUNK)
        except (OSError, _http_exception()) as error:
            message = f"{url}: the connection broke after {seen} of {size or '?'} bytes ({error})"
            raise Cut(message) from error
        if not chunk:
            break
        seen += len(chunk)
        yield chunk
    if seen < size:
        message = f"{url}: the connection ended after {seen} of {size} bytes"
        raise Cut(message)


def _answer(url: str, *, answer_seconds: float, stall_seconds: float) -> _Response:
    # In a thread, because name resolution obeys no timeout: a resolver that is cut off takes half a minute to fail.
    outcome: list[_Response | Exception] = []
    settled = threading.Event()
    gone = threading.Event()

    def ask() -> None:
        try:
            answer: _Response | Exception = _open(url, stall_seconds)
        except Exception as error:
            answer = error
        outcome.append(answer)
        settled.set()
        if gone.is_set() and not isinstance(answer, Exception):
            answer.close()

    threading.Thread(target=ask, name=f"ask {url}", daemon=True).start()
    if not settled.wait(answer_seconds):
        gone.set()
        message = f"no answer within {answer_seconds:g} s"
        raise _Silent(message)
    answer = outcome[0]
    if isinstance(answer, Exception):
        raise _judged(answer, url)
    return answer


def _open(url: str, timeout: float) -> _Response:
    import urllib.request  # noqa: PLC0415 - costs 25 ms, which a session that finds everything in place does not pay

    if not url.startswith(("http://", "https://")):
        message = f"{url} is neither http:// nor https://"
        raise WayFailed(message)
    request = urllib.request.Request(url, headers={"User-Agent": "pytest-vcluster"})  # noqa: S310 - checked above
    response: _Response = urllib.request.urlopen(request, timeout=timeout)  # noqa: S310 - checked above
    return response


def _judged(error: Exception, url: str) -> Exception:
    from urllib.error import HTTPError, URLError  # noqa: PLC0415 - as in `_open`

    if isinstance(error, WayFailed):
        return error
    if isinstance(error, HTTPError):
        error.close()
        if error.code in {404, 410}:
            return Missing(f"{url} does not exist (HTTP {error.code})")
        return WayFailed(f"{url} answers HTTP {error.code} {error.reason}")
    if isinstance(error, URLError):
        return _Silent(str(error.reason))
    if isinstance(error, OSError | _http_exception()):
        return _Silent(str(error) or type(error).__name__)
    return error


def _http_exception() -> type[Exception]:
    from http.client import HTTPException  # noqa: PLC0415 - as in `_open`

    return HTTPException

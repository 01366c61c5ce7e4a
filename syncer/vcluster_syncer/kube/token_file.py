"""A token that is kept in a file, where somebody replaces it before it expires.

The one rule: whoever sends a request asks for the token then, and never keeps it. The kubelet writes a pod's token anew
when most of its lifetime is over, and the former one is refused soon after.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)
_FRESH_SECONDS = 60.0


class TokenFile:
    """The token in the file at `path`; OSError if it can't be read now."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._read_at = clock()
        self._token = self._read()

    def current(self) -> str:
        """The token, read again when it was last read a minute ago."""
        if self._clock() - self._read_at >= _FRESH_SECONDS:
            self._read_again()
        return self._token

    def refused(self, token: str) -> bool:
        """Look at the file because `token` was refused; tells whether there is another one to try."""
        if self._token == token:
            self._read_again()
        return self._token != token

    def _read_again(self) -> None:
        self._read_at = self._clock()
        try:
            self._token = self._read()
        except OSError as error:
            # The former one may be good for a while, and the server says when it is not.
            _log.warning("the token in %s can't be read, the former one is used: %s", self._path, error)

    def _read(self) -> str:
        return self._path.read_text().strip()

"""An API server's audit log as it grows: whole lines, from where somebody left it.

The one rule: what can't be read on is an error, never an empty answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson


class Unreadable(Exception):
    """The log can't be read on from where it was left."""


class AuditLog:
    """The log in the file `path`, which need not exist yet; None where nothing is noted."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def end(self) -> int:
        """Tell how far the log goes."""
        try:
            return self.path.stat().st_size if self.path is not None else 0
        except FileNotFoundError:
            return 0  # there was nothing to note yet

    def lines(self, start: int) -> tuple[list[bytes], int]:
        """Return all whole lines from `start` on, and where they end."""
        end = self.end()
        if self.path is None or end == start:
            return [], start
        if end < start:
            raise Unreadable(f"{self.path} was begun anew")
        try:
            with self.path.open("rb") as stream:
                stream.seek(start)
                whole, _, _ = stream.read().rpartition(b"\n")
        except OSError as error:
            raise self._untold(error) from error
        return (whole.splitlines(), start + len(whole) + 1) if whole else ([], start)

    def events(self, lines: list[bytes]) -> Iterator[dict[str, Any]]:
        """Decode `lines`, https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/."""
        for line in lines:
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise self._untold(error) from error

    def _untold(self, error: Exception) -> Unreadable:
        return Unreadable(f"{self.path} does not tell what was asked: {type(error).__name__}: {error}")

"""Telling a waiting person what is going on, through pytest's capturing and from xdist workers too.

The one rule: silence for what is quick, a line every few seconds for what is not.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

PATIENCE_SECONDS = 2.0
INTERVAL_SECONDS = 4.0


class Progress:
    """Called with what goes on as often as one likes; writes what a person wants to see of it."""

    def __init__(self, write: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._next = clock() + PATIENCE_SECONDS
        self._last = ""

    def __call__(self, text: str) -> None:
        """Take note of `text`, and show it if it is time to show something and it is news."""
        now = self._clock()
        if now < self._next or text == self._last:
            return
        self._last = text
        self._next = now + INTERVAL_SECONDS
        self._write(text)


def terminal_progress(config: pytest.Config) -> Progress:
    """Progress on the real terminal: stderr, which xdist workers inherit, with capturing off for the moment."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def write(text: str) -> None:
        disabled = capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
        with disabled:
            # A newline before it: pytest may be in the middle of its line of dots.
            sys.stderr.write(f"\nvcluster: {text}\n")
            sys.stderr.flush()

    return Progress(write)

"""Keeps a mistake in a kind from taking down the watch that called it.

The one rule: what is caught here is a bug and is logged as one, with its traceback.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def guarded(otherwise: R, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `function`; log what it raises and return `otherwise`."""
    try:
        return function(*args, **kwargs)
    except Exception:
        _log.exception("%s failed on %r", getattr(function, "__qualname__", function), args[:1])
        return otherwise

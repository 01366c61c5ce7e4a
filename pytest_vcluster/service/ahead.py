"""What is begun before the run service has imported itself.

The one rule: next to nothing is imported here, and what is begun ends by itself when the service does; the reaper hears
of it later.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

Begin = Callable[[], int]
"""Starts a process that leads a session of its own and ends when this process does; returns its id."""


def begin(name: str) -> list[int]:
    """Call the `Begin` named `module:function`, if there is one; the ids of the processes that it started."""
    if not name:
        return []
    module, _, function = name.partition(":")
    return [cast("Begin", getattr(importlib.import_module(module), function))()]

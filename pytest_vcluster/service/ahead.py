"""What is begun before the run service has imported itself.

The one rule: next to nothing is imported here, and what is begun ends by itself when the service does; the reaper hears
of it later.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Protocol, cast


class Begun(Protocol):
    """A process that leads a session of its own and ends when this process does."""

    @property
    def pid(self) -> int:
        """Its id."""


Begin = Callable[[], Begun]


def begin(name: str) -> Begun | None:
    """Call the `Begin` named `module:function`, if there is one."""
    if not name:
        return None
    module, _, function = name.partition(":")
    return cast("Begin", getattr(importlib.import_module(module), function))()

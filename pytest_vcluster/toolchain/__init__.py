"""Where the Kubernetes binaries of a run come from.

In this order, first hit wins: a path that the user named, our cache, the official download, a build from Go modules.
The one rule: `locate` does no more than look at files, so that every session may start with it; only `obtain` may
use the network, start programs or write. Names are loaded on first use, because `versions` is imported by the plugin
itself and must not bring the rest along.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_vcluster.toolchain.cache import Verdict, verify
    from pytest_vcluster.toolchain.machine import check_runs
    from pytest_vcluster.toolchain.model import Binary, Component, Progress, Source, Sources, Wanted
    from pytest_vcluster.toolchain.places import locate
    from pytest_vcluster.toolchain.supply import obtain

__all__ = [
    "Binary",
    "Component",
    "Progress",
    "Source",
    "Sources",
    "Verdict",
    "Wanted",
    "check_runs",
    "locate",
    "obtain",
    "verify",
]

_HOMES = {
    "check_runs": "machine",
    "locate": "places",
    "obtain": "supply",
    "verify": "cache",
    "Verdict": "cache",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'model')}"), name)

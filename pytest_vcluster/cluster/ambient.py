"""This process pointed at a cluster, and back again.

What runs in the test's own process (kopf's runner, client libraries without arguments) looks for a cluster in
`KUBECONFIG`, in the environment of a pod, and in `~/.kube/config`. The one rule: while the context lasts none of these
leads anywhere else, and afterwards everything is as it was.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_VARIABLE = "KUBECONFIG"
# On a CI machine that is a pod itself, clients that try "in-cluster" first would find the CI's own cluster.
_OF_A_POD = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT")
# These libraries read the variable once, when they are imported.
_FROZEN = ("kubernetes.config.kube_config", "kubernetes_asyncio.config.kube_config")
_CONSTANT = "KUBE_CONFIG_DEFAULT_LOCATION"


@contextlib.contextmanager
def pointed_at(kubeconfig: Path) -> Iterator[Path]:
    """Have everything in this process that looks for a cluster find the one of `kubeconfig`."""
    before = {name: os.environ.get(name) for name in (_VARIABLE, *_OF_A_POD)}
    frozen = {name: getattr(sys.modules[name], _CONSTANT) for name in _FROZEN if name in sys.modules}
    os.environ[_VARIABLE] = str(kubeconfig)
    for name in _OF_A_POD:
        os.environ.pop(name, None)
    _freeze(dict.fromkeys(frozen, str(kubeconfig)))
    try:
        yield kubeconfig
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        # A library that was imported meanwhile has taken our file for its default.
        default = before[_VARIABLE] or "~/.kube/config"
        _freeze({name: frozen.get(name, default) for name in _FROZEN})


def _freeze(locations: dict[str, str]) -> None:
    for name, location in locations.items():
        for module in (name, name.rpartition(".")[0]):
            if hasattr(sys.modules.get(module), _CONSTANT):
                setattr(sys.modules[module], _CONSTANT, location)

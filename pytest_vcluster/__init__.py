"""A pristine, real Kubernetes cluster for every test.

Public names only, each imported when first used: pytest imports this package in every run of every project that has it
installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_vcluster.cluster import VCluster
    from pytest_vcluster.errors import (
        ApiError,
        CommandError,
        ComponentDied,
        HostError,
        KubectlError,
        LeaseLost,
        ManifestError,
        NotAvailableOnHost,
        ProvisionError,
        SettingsError,
        Timeout,
        ToolchainError,
        VClusterError,
    )
    from pytest_vcluster.hold import Factory, Host
    from pytest_vcluster.settings import NodeShape

__all__ = [
    "ApiError",
    "CommandError",
    "ComponentDied",
    "Factory",
    "Host",
    "HostError",
    "KubectlError",
    "LeaseLost",
    "ManifestError",
    "NodeShape",
    "NotAvailableOnHost",
    "ProvisionError",
    "SettingsError",
    "Timeout",
    "ToolchainError",
    "VCluster",
    "VClusterError",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    modules = {"VCluster": "cluster", "NodeShape": "settings", "Factory": "hold", "Host": "hold"}
    return getattr(import_module(f"{__name__}.{modules.get(name, 'errors')}"), name)

"""What a run may ask of its kind cluster, looked at before anything starts.

The one rule: only files are read, so this can be done in every process and at any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_vcluster.hosts.kind import configuration, naming
from pytest_vcluster.settings import Settings


def check(settings: Settings) -> Mapping[str, Any]:
    """Return the user's kind configuration; SettingsError if it is none, or the cluster's name can't be."""
    if settings.reuse is not None:
        naming.check_reused(settings.reuse)
    return configuration.read(settings.kind_config) if settings.kind_config else {}

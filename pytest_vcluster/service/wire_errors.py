"""Errors on their way from the service to a worker, as plain data.

The one rule: an error of ours arrives as what it was, with its words and its attributes; any other as a ProvisionError
that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_vcluster import errors
from pytest_vcluster.errors import VClusterError


def describe_error(error: BaseException) -> dict[str, Any]:
    """Describe `error` as plain data; one that is not ours becomes a ProvisionError that names it."""
    if not isinstance(error, VClusterError):
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return {"class": "ProvisionError", "message": f"The run service failed: {message}", "fields": {}}
    attributes = {
        name: {"path": str(value)} if isinstance(value, Path) else value for name, value in vars(error).items()
    }
    return {"class": type(error).__name__, "message": str(error), "fields": attributes}


def rebuild_error(described: Mapping[str, Any]) -> VClusterError:
    """Make the error that `describe_error` described."""
    kind = getattr(errors, described["class"], errors.ProvisionError)
    # Not through the class: each has arguments of its own, and the message is complete already.
    error: VClusterError = kind.__new__(kind, described["message"])
    for name, value in described["fields"].items():
        setattr(error, name, Path(value["path"]) if isinstance(value, dict) and set(value) == {"path"} else value)
    return error

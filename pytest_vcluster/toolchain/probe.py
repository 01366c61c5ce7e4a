"""Asks a named binary for its version, once per file.

The one rule: a file that this machine can't run is an error here, not a reason to go on: the user named it.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from pytest_vcluster.toolchain import guarded
from pytest_vcluster.toolchain.machine import check_runs
from pytest_vcluster.toolchain.model import Binary, Component, Progress, Source, Sources, Wanted
from pytest_vcluster.toolchain.named import (
    Fit,
    Named,
    fit,
    named_files,
    remember_version,
    remembered_version,
)

_VERSION = re.compile(r"v\d+\.\d+\.\d+[^\s\"',}]*", re.ASCII)
_ANSWER_SECONDS = 20.0


def named_binary(wanted: Wanted, sources: Sources, progress: Progress) -> Binary | None:
    """The named binary for `wanted`, asked for its version where that is not known; raises ToolchainError."""
    for named in named_files(wanted.component, sources):
        check_runs(Binary(wanted.component, wanted.version, named.path, Source.NAMED))
        version = remembered_version(named, sources) if wanted.component.is_kubernetes else None
        if fit(wanted, named, version) is Fit.UNKNOWN:
            version = _ask(wanted.component, named, sources)
            # An unwritable cache folder costs the next run another question, and is no reason to fail this one.
            with contextlib.suppress(OSError):
                remember_version(named, version, sources)
        if fit(wanted, named, version) is Fit.YES:
            return Binary(wanted.component, version or wanted.version, named.path, Source.NAMED)
        progress(f"{named.path} (from {named.by}) is {version or 'unversioned'} and not used for {wanted}")
    return None


def _ask(component: Component, named: Named, sources: Sources) -> str:
    arguments = ["version", "--client"] if component is Component.KUBECTL else ["--version"]
    try:
        outcome = guarded.run(
            [named.path, *arguments], cwd=Path("/"), env=sources.environ, limit_seconds=_ANSWER_SECONDS
        )
    except (OSError, guarded.Overdue):
        return ""
    match = _VERSION.search(outcome.output) if outcome.code == 0 else None
    return match[0] if match else ""

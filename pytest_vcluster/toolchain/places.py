"""The quick search: a named path, then the cache.

The one rule: files are looked at, nothing is started or fetched; a session that has all its binaries spends a
millisecond here.
"""

from __future__ import annotations

from pytest_vcluster.toolchain import cache
from pytest_vcluster.toolchain.model import Binary, Source, Sources, Wanted
from pytest_vcluster.toolchain.named import Fit, fit, named_files, places_named, remembered_version


def locate(wanted: Wanted, sources: Sources) -> Binary | None:
    """The binary for `wanted` if it is named or cached; None if only `obtain` can tell.

    Raises ToolchainError when the variable made for this binary names a file that is not there.
    """
    for named in named_files(wanted.component, sources):
        version = remembered_version(named, sources) if wanted.component.is_kubernetes else None
        match fit(wanted, named, version):
            case Fit.YES:
                return Binary(wanted.component, version or wanted.version, named.path, Source.NAMED)
            case Fit.UNKNOWN:
                return None
            case Fit.NO:
                continue
    path = cache.look(sources.cache, wanted)
    return None if path is None else Binary(wanted.component, wanted.version, path, Source.CACHE)


def places_looked(wanted: Wanted, sources: Sources) -> list[str]:
    """Every place that `locate` looks at, each with what is (not) there."""
    return [*places_named(wanted.component, sources), cache.why_not(sources.cache, wanted)]

"""Gets binaries, in the order: named, cache, official download, build from Go modules.

The one rule: a way that does not work is told in one line and the next is tried; only when all have failed is there an
error, and it lists each with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.toolchain import cache, lock
from pytest_vcluster.toolchain.build import build
from pytest_vcluster.toolchain.download import download
from pytest_vcluster.toolchain.failures import Nowhere, Unreachable, WayFailed, cache_trouble, lacking_offline
from pytest_vcluster.toolchain.machine import check_runs
from pytest_vcluster.toolchain.model import Binary, Component, Progress, Source, Sources, Wanted, unique
from pytest_vcluster.toolchain.places import places_looked
from pytest_vcluster.toolchain.probe import named_binary
from pytest_vcluster.toolchain.versions import previous_patch

_WAYS = ((Source.DOWNLOAD, "official download", download), (Source.BUILD, "build from Go modules", build))
_PATCHES_BACK = 3


def obtain(wanted: Sequence[Wanted], sources: Sources, *, progress: Progress) -> list[Binary]:
    """A binary for each of `wanted`, in that order; raises ToolchainError.

    What is asked for by minor (`floating`) may come in an earlier patch release, then all of that minor together, and
    `progress` is told. An offline run looks only at named paths and the cache.
    """
    with cache_trouble(sources.cache):
        if sources.offline:
            return _offline(wanted, sources, progress)
        found: dict[Wanted, Binary] = {}
        by_release = sorted(unique(wanted), key=_build_order)
        for _, group in groupby(by_release, key=_release):
            found |= _one_release(tuple(group), sources, progress)
        return [found[one] for one in wanted]


def _release(wanted: Wanted) -> tuple[bool, str, bool]:
    # What is not of Kubernetes first: it is quick to get, and a broken network shows before the long builds.
    return wanted.component.is_kubernetes, wanted.version, wanted.floating


def _build_order(wanted: Wanted) -> tuple[tuple[bool, str, bool], int]:
    # kube-apiserver before the others of its release, which then have little left to compile.
    return _release(wanted), list(Component).index(wanted.component)


def _offline(wanted: Sequence[Wanted], sources: Sources, progress: Progress) -> list[Binary]:
    found, lacking = [], []
    for one in wanted:
        binary = _present(one, sources, progress)
        if binary is None:
            lacking.append((one, places_looked(one, sources)))
        else:
            found.append(binary)
    if lacking:
        raise lacking_offline(lacking)
    return found


def _one_release(group: tuple[Wanted, ...], sources: Sources, progress: Progress) -> dict[Wanted, Binary]:
    """All of `group`, which is of one version; where that does not exist and may float, all of an earlier one."""
    version = group[0].version
    for _ in range(_PATCHES_BACK):
        try:
            return {one: _obtain(Wanted(one.component, version, one.floating), sources, progress) for one in group}
        except Nowhere as nowhere:
            earlier = previous_patch(version)
            if not (nowhere.missing and group[0].floating and earlier):
                raise
            progress(f"{version} is not to be had yet: using the release before it, {earlier}")
            version = earlier
    return {one: _obtain(Wanted(one.component, version, one.floating), sources, progress) for one in group}


def _obtain(wanted: Wanted, sources: Sources, progress: Progress) -> Binary:
    if binary := _present(wanted, sources, progress):
        return binary
    name = f"{wanted.component}-{wanted.version}"
    with lock.held(sources, name, what=str(wanted), progress=progress):
        # Whoever held the lock before us may have got it.
        if binary := _cached(wanted, sources):
            return binary
        if cache.place(sources.cache, wanted).exists():
            progress(f"{cache.why_not(sources.cache, wanted)}: fetching it again")
        return _fetch(wanted, name, sources, progress)


def _present(wanted: Wanted, sources: Sources, progress: Progress) -> Binary | None:
    return named_binary(wanted, sources, progress) or _cached(wanted, sources)


def _cached(wanted: Wanted, sources: Sources) -> Binary | None:
    path = cache.look(sources.cache, wanted)
    if path is None:
        return None
    binary = Binary(wanted.component, wanted.version, path, Source.CACHE)
    check_runs(binary)
    return binary


def _fetch(wanted: Wanted, name: str, sources: Sources, progress: Progress) -> Binary:
    attempts: list[tuple[str, WayFailed]] = []
    for source, words, way in _WAYS:
        with cache.staging(sources.cache, name) as staging:
            try:
                made = _runnable(way(wanted, sources, staging, progress), wanted, source)
            except WayFailed as failure:
                attempts.append((words, failure))
                if not isinstance(failure, Unreachable):
                    progress(f"{wanted}: no {words}: {failure}".partition("\n")[0])
            else:
                path = cache.install(sources.cache, wanted, made)
                progress(f"{wanted}: ready in {path}")
                return Binary(wanted.component, wanted.version, path, source)
    raise Nowhere.of(wanted, attempts)


def _runnable(made: Path, wanted: Wanted, source: Source) -> Path:
    try:
        check_runs(Binary(wanted.component, wanted.version, made, source))
    except ToolchainError as error:
        raise WayFailed(str(error)) from error
    return made

"""The binaries a run needs, found in milliseconds when they are there and fetched by a child process when not.

The one rule: the event loop never waits for the toolchain. A build takes minutes; it runs in a process of its own that
ends when this one does, and its progress is passed on line by line.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.toolchain import Binary, Component, Source, Sources, Wanted, check_runs, locate
from pytest_vcluster.toolchain.versions import ETCD_VERSION, KNOWN_PATCH, KWOK_VERSION, minor_of

Found = Mapping[Component, Binary]


def newest(versions: Iterable[str]) -> str:
    """The highest of some full versions (v1.36.4): what the embedded host runs, whatever the virtual clusters are."""
    return max(versions, key=lambda version: tuple(int(part) for part in version.removeprefix("v").split(".")))


def wanted_for_host(version: str) -> tuple[Wanted, ...]:
    """What the embedded host of Kubernetes `version` consists of."""
    return (
        Wanted(Component.ETCD, ETCD_VERSION),
        Wanted(Component.KWOK, KWOK_VERSION),
        *wanted_for_virtual(version),
        Wanted(Component.KUBE_SCHEDULER, version),
    )


def wanted_for_virtual(version: str) -> tuple[Wanted, ...]:
    """What a virtual cluster of Kubernetes `version` consists of."""
    return (Wanted(Component.KUBE_APISERVER, version), Wanted(Component.KUBE_CONTROLLER_MANAGER, version))


async def have(
    wanted: Iterable[Wanted], sources: Sources, *, register: Callable[[int], None], progress: Callable[[str], None]
) -> Found:
    """Return every wanted binary, fetching those that are missing; ToolchainError when one can't be had.

    Where the release that a minor stands for is not to be had anywhere, an earlier patch release of it may come
    instead; the binaries then say so in their `version`.
    """
    missing: list[Wanted] = []
    found: dict[Component, Binary] = {}
    for want in wanted:
        binary = locate(want, sources)
        if binary is None:
            missing.append(want)
        else:
            check_runs(binary)
            found[want.component] = binary
    if missing:
        found.update(await _fetch(missing, sources, register=register, progress=progress))
    return found


async def _fetch(
    missing: Iterable[Wanted],
    sources: Sources,
    *,
    register: Callable[[int], None],
    progress: Callable[[str], None],
) -> dict[Component, Binary]:
    offline = ["--offline"] if sources.offline else []
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pytest_vcluster.toolchain",
        *offline,
        *(_asked(want) for want in missing),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        env=dict(sources.environ),
    )
    register(process.pid)
    assert process.stdout is not None
    found: dict[Component, Binary] | None = None
    failure = "it said nothing"
    try:
        async for line in process.stdout:
            message = json.loads(line)
            if "progress" in message:
                progress(message["progress"])
            elif "error" in message:
                failure = message["error"]
            elif "binaries" in message:
                found = {Component(item["component"]): _binary(item) for item in message["binaries"]}
        code = await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
    if found is None:
        raise ToolchainError(
            failure if failure != "it said nothing" else f"The toolchain ended with {code}: {failure}."
        )
    return found


def _asked(want: Wanted) -> str:
    # What a bare minor stands for is asked for as the minor, so that an earlier patch release will do in its place.
    floats = want.component.is_kubernetes and want.version in KNOWN_PATCH.values()
    return f"{want.component.value}@{minor_of(want.version) if floats else want.version}"


def _binary(item: Mapping[str, str]) -> Binary:
    return Binary(Component(item["component"]), item["version"], Path(item["path"]), Source(item["source"]))

"""Binaries that the user names: `TEST_ASSET_*`, `KUBEBUILDER_ASSETS`, and for kubectl also PATH.

The one rule: a path that someone names is used, unless it is known to be another version than the one asked for; a run
on three versions must not quietly be three runs on one. Telling the version takes running the program, so it is done
once per file by `probe` and remembered in the cache folder; here only that memory is read.
"""

from __future__ import annotations

import enum
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.toolchain.failures import variable
from pytest_vcluster.toolchain.model import Component, Sources, Wanted

_VERSION = re.compile(r"v(\d+)\.(\d+)\.\d+", re.ASCII)


class Fit(enum.Enum):
    """Whether a named binary serves."""

    YES = enum.auto()
    NO = enum.auto()
    UNKNOWN = enum.auto()
    """Its version must be asked first."""


@dataclass(frozen=True, slots=True)
class Named:
    """A file that the user named, and by what."""

    path: Path
    by: str


def named_files(component: Component, sources: Sources) -> Iterator[Named]:
    """Files named for `component` that exist, in order of precedence.

    Raises ToolchainError when a variable made for this one binary names nothing.
    """
    own = variable(component)
    if text := sources.environ.get(own):
        path = Path(text).expanduser()
        if not path.exists():
            message = f"{own} names {path}, and there is no such file. Correct it, or unset it to have one fetched."
            raise ToolchainError(message)
        yield Named(path.absolute(), own)
    if folder := sources.environ.get("KUBEBUILDER_ASSETS"):
        path = Path(folder).expanduser() / component
        if path.exists():
            yield Named(path.absolute(), "KUBEBUILDER_ASSETS")
    if component is Component.KUBECTL:
        for folder in sources.environ.get("PATH", "").split(os.pathsep):
            path = Path(folder or ".") / component
            if path.is_file() and os.access(path, os.X_OK):
                yield Named(path.absolute(), "PATH")
                return


def places_named(component: Component, sources: Sources) -> list[str]:
    """Every place where a named binary was looked for, with what was found, for an error's text."""
    places = []
    for name in (variable(component), "KUBEBUILDER_ASSETS"):
        text = sources.environ.get(name)
        places.append(f"{name}={text}" if text else f"{name} (not set)")
    if component is Component.KUBECTL:
        places.append("kubectl on PATH")
    return places


def fit(wanted: Wanted, named: Named, version: str | None) -> Fit:
    """Whether a named binary of `version` (None: not known yet, "": it does not tell) serves for `wanted`.

    What is not of Kubernetes serves in any version, and so does whatever the variable of one binary names for kubectl;
    any other kubectl may be one minor off, as Kubernetes promises; a server must be what was asked for.
    """
    if not wanted.component.is_kubernetes:
        return Fit.YES
    by_own_variable = named.by == variable(wanted.component)
    is_client = wanted.component is Component.KUBECTL
    if is_client and by_own_variable:
        return Fit.YES
    if version is None:
        return Fit.UNKNOWN
    found, asked = _VERSION.match(version), _VERSION.match(wanted.version)
    if found is None or asked is None or found[1] == "0":
        # Built by hand and not stamped: trusted when it was named on purpose, not when it merely is on PATH.
        return Fit.NO if named.by == "PATH" else Fit.YES
    if is_client:
        near = found[1] == asked[1] and abs(int(found[2]) - int(asked[2])) <= 1
        return Fit.YES if near else Fit.NO
    same_minor = found.groups() == asked.groups()
    return Fit.YES if version == wanted.version or (wanted.floating and same_minor) else Fit.NO


def remembered_version(named: Named, sources: Sources) -> str | None:
    """What the file said when it was asked for its version; None when it was not, or has changed since."""
    try:
        document = json.loads(_memory(named, sources).read_bytes())
        same = document["path"] == str(named.path) and document["stat"] == _stat(named.path)
        return str(document["version"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember_version(named: Named, version: str, sources: Sources) -> None:
    """Note what the file said; OSError when the cache folder can't be written."""
    memory = _memory(named, sources)
    memory.parent.mkdir(parents=True, exist_ok=True)
    document = {"path": str(named.path), "stat": _stat(named.path), "version": version}
    draft = memory.with_suffix(f".{os.getpid()}.draft")
    try:
        draft.write_text(json.dumps(document), encoding="utf-8")
        draft.replace(memory)
    finally:
        draft.unlink(missing_ok=True)


def _memory(named: Named, sources: Sources) -> Path:
    import hashlib  # noqa: PLC0415 - loads OpenSSL, and most runs name no binary

    return sources.cache / "named" / f"{hashlib.sha256(str(named.path).encode()).hexdigest()[:16]}.json"


def _stat(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]

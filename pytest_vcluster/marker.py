"""`@pytest.mark.vcluster(...)`: what a test wants of its cluster.

The one rule: a marker means what the signature of `arguments` says, and nothing else gets past collection; an error
names the marker, the test and what is allowed. Pure but for the manifests, which are read to be checked.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_vcluster.errors import ManifestError, SettingsError
from pytest_vcluster.manifests import ManifestFiles, find_manifests
from pytest_vcluster.nodes import parse_nodes
from pytest_vcluster.settings import ISOLATIONS, NodeShape

MARKER = "vcluster"


def arguments(
    *,
    version: object = None,
    crds: object = (),
    manifests: object = (),
    isolation: object = None,
    containers: object = False,
    nodes: object = None,
) -> None:
    """The signature of the marker, and by that what is allowed in it; called with what a test gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a test asks for beyond the run's settings; None is no wish."""

    version: str | None = None
    crds: tuple[Path, ...] = ()
    manifests: tuple[Path, ...] = ()
    isolation: str | None = None
    containers: bool = False
    nodes: tuple[NodeShape, ...] | None = None


NO_WISH = Wish()


def merge(marks: Iterable[tuple[Sequence[object], Mapping[str, object]]]) -> Mapping[str, object]:
    """One set of arguments out of the markers of a test, closest first: of each argument the closest one counts.

    Takes positional and keyword arguments of each marker; raises `TypeError` where the signature would.
    """
    merged: dict[str, object] = {}
    signature = inspect.signature(arguments)
    for args, kwargs in marks:
        signature.bind(*args, **kwargs)
        merged = {**kwargs, **merged}
    return merged


def parse_wish(given: Mapping[str, object], *, bases: Sequence[Path], files: ManifestFiles) -> Wish:
    """What the arguments mean; raises `SettingsError` with every argument that is wrong, a line each.

    Paths start from the first of `bases` in which they name anything.
    """
    wrong: list[str] = []
    wish: dict[str, Any] = {}
    for name, value in given.items():
        try:
            wish[name] = _parse(name, value, bases=bases, files=files)
        except (SettingsError, ManifestError) as error:
            wrong.append(str(error))
    if wrong:
        raise SettingsError("\n".join(wrong))
    return Wish(**wish)


def wish_of(
    marks: Iterable[tuple[Sequence[object], Mapping[str, object]]],
    *,
    test: str,
    bases: Sequence[Path],
    files: ManifestFiles,
) -> Wish:
    """The wish that a test's markers add up to; raises `SettingsError` that names the marker and the `test`."""
    where = f"@pytest.mark.{MARKER} of {test}"
    try:
        return parse_wish(merge(marks), bases=bases, files=files)
    except TypeError as error:
        names = ", ".join(inspect.signature(arguments).parameters)
        message = f"{where}: {error}. Allowed, all by name: {names}."
        raise SettingsError(message) from error
    except SettingsError as error:
        raise SettingsError("\n".join(f"{where}: {line}" for line in str(error).splitlines())) from error


def pinned_version(marks: Iterable[tuple[Sequence[object], Mapping[str, object]]]) -> str | None:
    """The version that the markers ask for, or None; a wrong marker asks for none here and is told off by `wish_of`."""
    try:
        version = merge(marks).get("version")
        return None if version is None else _version(version)
    except (TypeError, SettingsError):
        return None


def _parse(name: str, value: object, *, bases: Sequence[Path], files: ManifestFiles) -> object:
    match name:
        case "version":
            return None if value is None else _version(value)
        case "isolation":
            if value is not None and value not in ISOLATIONS:
                raise _wrong(name, value, allowed=" or ".join(map(repr, ISOLATIONS)))
            return value
        case "containers":
            if not isinstance(value, bool):
                raise _wrong(name, value, allowed="True or False")
            return value
        case "nodes":
            return None if value is None else parse_nodes(value)
        case _:
            paths = [path for pattern in _patterns(name, value) for path in find_manifests(pattern, bases=bases)]
            for path in paths:
                files.definitions(path) if name == "crds" else files.objects(path)
            return tuple(dict.fromkeys(paths))


def _version(value: object) -> str:
    from pytest_vcluster.toolchain.versions import resolve_version  # noqa: PLC0415 - only markers with a version need it

    if not isinstance(value, str):
        raise _wrong("version", value, allowed="a text such as '1.36' or '1.36.4'")
    return resolve_version(value)


def _patterns(name: str, value: object) -> Sequence[str]:
    items = [value] if isinstance(value, str | Path) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str | Path) for item in items):
        raise _wrong(name, value, allowed="a path or glob, or a list of them")
    return [str(item) for item in items]


def _wrong(name: str, value: object, *, allowed: str) -> SettingsError:
    return SettingsError(f"{name}={value!r} is not allowed; allowed: {allowed}")

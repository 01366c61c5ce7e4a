"""What a user calls manifests, as objects that know where they came from.

A path, a folder, a glob, YAML text, a dict, a `List`, or a list of any of these. The one rule: reading is pure but for
the files themselves, asks no server, and its errors say which file, which document of it and which line.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_vcluster.errors import ManifestError

if TYPE_CHECKING:
    from typing import TypeAlias

SUFFIXES = (".yaml", ".yml", ".json")

Source: TypeAlias = "str | Path | Mapping[str, Any] | Document | Sequence[Source]"
"""What `read_manifests` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A Kubernetes object and its origin; `file` is None for text and dicts, `line` 0 where there are no lines."""

    object: Mapping[str, Any]
    file: Path | None = None
    number: int = 1
    line: int = 0

    @property
    def where(self) -> str:
        """The origin, for messages."""
        return _where(self.file, self.number, self.line)


def read_manifests(source: Source, *, bases: Sequence[Path]) -> list[Document]:
    """The objects of `source` in order; paths are looked for in each of `bases`. Raises ManifestError."""
    found = list(_read(source, bases=bases, number=1))
    if not found:
        message = f"{_shown(source)} holds no Kubernetes object"
        raise ManifestError(message)
    return found


def find_files(pattern: str | Path, *, bases: Sequence[Path]) -> list[Path]:
    """Files that a path, folder or glob names, starting from the first of `bases` in which it names any.

    Their order is stable; a folder's are its manifests, not its subfolders'.
    """
    text = str(pattern)
    if "://" in text:
        message = f"{text!r} is a URL; allowed: a path, a folder or a glob of files that are part of the project"
        raise ManifestError(message)
    for base in dict.fromkeys(bases):
        if found := _files_in(base, text):
            return found
    looked = " and ".join(str(base) for base in dict.fromkeys(bases))
    message = f"{text!r} names no manifest ({', '.join(SUFFIXES)}); looked in {looked}"
    raise ManifestError(message)


def _files_in(base: Path, text: str) -> list[Path]:
    found: list[Path] = []
    for match in sorted(glob.glob(str(base / Path(text).expanduser()), recursive=True)):  # noqa: PTH207 - takes absolute patterns
        path = Path(match)
        if path.is_dir():
            found += sorted(child for child in path.iterdir() if child.suffix in SUFFIXES and child.is_file())
        else:
            found.append(path)
    return found


def is_text(source: str) -> bool:
    """Whether a string is YAML itself, and not the name of a file that has some."""
    return "\n" in source or source.lstrip().startswith("{") or "apiVersion:" in source


def _read(source: Source, *, bases: Sequence[Path], number: int) -> Iterator[Document]:
    match source:
        case Document():
            yield source
        case Mapping():
            yield from _objects(source, file=None, number=number, line=0, item_lines=())
        case str() if is_text(source):
            yield from _parse(source, file=None)
        case str() | Path():
            for path in find_files(source, bases=bases):
                yield from read_file(path)
        case Sequence():
            for position, item in enumerate(source, start=1):
                yield from _read(item, bases=bases, number=position)
        case _:
            raise _no_source(source)


def read_file(path: Path) -> Iterator[Document]:
    """The objects of one file; raises ManifestError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: can't be read: {error}"
        raise ManifestError(message) from error
    found = False
    for document in _parse(text, file=path):
        found = True
        yield document
    if not found:
        message = f"{path}: holds no Kubernetes object"
        raise ManifestError(message)


def _parse(text: str, *, file: Path | None) -> Iterator[Document]:
    from pytest_vcluster.cluster import yaml_documents  # noqa: PLC0415 - dicts need no YAML

    try:
        for parsed in yaml_documents.parse(text):
            yield from _objects(
                parsed.value, file=file, number=parsed.number, line=parsed.line, item_lines=parsed.item_lines
            )
    except yaml_documents.NotYaml as error:
        message = f"{_where(file, error.number, error.line or 0)}: is not YAML: {error}"
        raise ManifestError(message) from error


def _objects(
    value: object, *, file: Path | None, number: int, line: int, item_lines: Sequence[int]
) -> Iterator[Document]:
    where = _where(file, number, line)
    if not isinstance(value, Mapping):
        message = f"{where}: is a {type(value).__name__}, not a Kubernetes object (a mapping)"
        raise ManifestError(message)
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field), str) or not value[field]:
            message = f"{where}: has no {field}, so it is no Kubernetes object"
            raise ManifestError(message)
    kind = value["kind"]
    items = value.get("items")
    if kind.endswith("List") and isinstance(items, list):
        lines: Iterable[int] = item_lines if len(item_lines) == len(items) else [line] * len(items)
        for item, at in zip(items, lines, strict=True):
            yield from _objects(item, file=file, number=number, line=at, item_lines=())
        return
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not name:
        message = f"{where}: the {kind} has no metadata.name"
        if isinstance(metadata, Mapping) and metadata.get("generateName"):
            message += "; generateName is for creating, not for applying: use api_client() or kubectl('create', ...)"
        raise ManifestError(message)
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        message = f"{where}: the {kind} {name} can't be said in JSON: {error}"
        raise ManifestError(message) from error
    yield Document(object=value, file=file, number=number, line=line)


def _no_source(source: object) -> ManifestError:
    return ManifestError(
        f"{_shown(source)} is a {type(source).__name__}; allowed: a path, a folder, a glob, YAML text, a dict, "
        "or a list of these"
    )


def _where(file: Path | None, number: int, line: int) -> str:
    if line:
        return f"{file or 'the text given'}, document {number}, line {line}"
    return f"{file or 'the objects given'}, number {number}"


def _shown(source: object) -> str:
    text = repr(source)
    return text if len(text) <= 80 else f"{text[:77]}..."

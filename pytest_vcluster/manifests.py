"""Manifests that markers name: found, read and checked while pytest collects.

The one rule: a manifest that can't work stops the run before anything starts, and the error says which file, which
document of it and which line. YAML is imported only when there is a manifest to read.
"""

from __future__ import annotations

import functools
import glob
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_vcluster.errors import ManifestError

SUFFIXES = (".yaml", ".yml", ".json")


def find_manifests(pattern: str, *, bases: Sequence[Path]) -> tuple[Path, ...]:
    """Files that a path, folder or glob names, starting from the first of `bases` in which it names any."""
    if "://" in pattern:
        message = f"{pattern!r} is a URL; allowed: a path, a folder or a glob of files that are part of the project"
        raise ManifestError(message)
    for base in bases:
        files = tuple(_matches(base / Path(pattern).expanduser()))
        if files:
            return files
    looked = " and ".join(str(base) for base in dict.fromkeys(bases))
    message = f"{pattern!r} names no manifest ({', '.join(SUFFIXES)}); looked in {looked}"
    raise ManifestError(message)


def _matches(path: Path) -> Iterator[Path]:
    """`path` itself, the manifests right in it when it is a folder, or what it matches as a glob; in a stable order."""
    for match in sorted(glob.glob(str(path), recursive=True)):  # noqa: PTH207 - Path.glob takes no absolute patterns
        found = Path(match)
        if found.is_dir():
            yield from sorted(child for child in found.iterdir() if child.suffix in SUFFIXES)
        else:
            yield found


def read_manifests(path: Path) -> tuple[Mapping[str, Any], ...]:
    """The Kubernetes objects of a file, in its order; raises `ManifestError` for anything that is none."""
    import yaml  # noqa: PLC0415 - heavy, and only tests with manifests need it

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: can't be read: {error}"
        raise ManifestError(message) from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    objects: list[Mapping[str, Any]] = []
    number = 1
    try:
        while loader.check_node() and (node := loader.get_node()):
            document = loader.construct_document(node)
            if document is not None:
                line = node.start_mark.line + 1
                objects.extend(_objects(document, where=f"{path}, document {number}, line {line}"))
            number += 1
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else "unknown"
        problem = getattr(error, "problem", None) or error
        message = f"{path}, document {number}, line {line}: is not YAML: {problem}"
        raise ManifestError(message) from error
    finally:
        loader.dispose()
    if not objects:
        message = f"{path}: holds no Kubernetes object"
        raise ManifestError(message)
    return tuple(objects)


def _objects(document: object, *, where: str) -> Iterator[Mapping[str, Any]]:
    if not isinstance(document, Mapping):
        message = f"{where}: is a {type(document).__name__}, not a Kubernetes object (a mapping)"
        raise ManifestError(message)
    for field in ("apiVersion", "kind"):
        if not isinstance(document.get(field), str) or not document[field]:
            message = f"{where}: has no {field}, so it is no Kubernetes object"
            raise ManifestError(message)
    if document["kind"].endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _objects(item, where=f"{where} (an item of a {document['kind']})")
        return
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
        message = f"{where}: the {document['kind']} has no metadata.name"
        raise ManifestError(message)
    yield document


class ManifestFiles:
    """Manifests of one run, each file read once however many tests name it."""

    def __init__(self) -> None:
        self._read = functools.cache(read_manifests)

    def objects(self, path: Path) -> tuple[Mapping[str, Any], ...]:
        """The objects of `path`."""
        return self._read(path)

    def definitions(self, path: Path) -> tuple[Mapping[str, Any], ...]:
        """The objects of `path`, all of which must be CustomResourceDefinitions."""
        objects = self._read(path)
        for found in objects:
            if found["kind"] != "CustomResourceDefinition":
                message = (
                    f"{path}: holds the {found['kind']} {found['metadata']['name']!r}, but crds= takes "
                    "CustomResourceDefinitions only; name this file under manifests="
                )
                raise ManifestError(message)
        return objects

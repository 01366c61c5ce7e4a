"""Manifests that markers name: found and read once while pytest collects.

The one rule: a manifest that can't work stops the run before anything starts. How manifests are read, and what errors
say of file, document and line, is `cluster.manifests`' business, so that a marker and `VCluster.apply` agree.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vcluster.errors import ManifestError

if TYPE_CHECKING:
    from pytest_vcluster.cluster.manifests import Document


def find_manifests(pattern: str, *, bases: Sequence[Path]) -> tuple[Path, ...]:
    """Files that a path, folder or glob names, starting from the first of `bases` in which it names any."""
    from pytest_vcluster.cluster.manifests import find_files  # noqa: PLC0415 - only tests with manifests need it

    return tuple(find_files(pattern, bases=bases))


def read_manifests(path: Path) -> tuple[Document, ...]:
    """The Kubernetes objects of a file, in its order; raises `ManifestError` for anything that is none."""
    from pytest_vcluster.cluster.manifests import read_file  # noqa: PLC0415 - only tests with manifests need it

    return tuple(read_file(path))


class ManifestFiles:
    """Manifests of one run, each file read once however many tests name it."""

    def __init__(self) -> None:
        self._read = functools.cache(read_manifests)

    def objects(self, path: Path) -> tuple[Document, ...]:
        """The objects of `path`."""
        return self._read(path)

    def definitions(self, path: Path) -> tuple[Document, ...]:
        """The objects of `path`, all of which must be CustomResourceDefinitions."""
        documents = self._read(path)
        for document in documents:
            kind, name = document.object["kind"], document.object["metadata"]["name"]
            if kind != "CustomResourceDefinition":
                message = (
                    f"{path}: holds the {kind} {name!r}, but crds= takes CustomResourceDefinitions only; "
                    "name this file under manifests="
                )
                raise ManifestError(message)
        return documents

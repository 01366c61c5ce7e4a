"""Baselines that clusters of the embedded host are cloned from: of this run, and of earlier ones in the cache.

The one rule: a baseline that was made of files is the same for every run, and is kept under the digest of their
contents; one that a function made belongs to the run, because nobody can tell what the function depends on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_vcluster.controlplane.baseline import obstacle, template_of
from pytest_vcluster.controlplane.networks import ServiceRange
from pytest_vcluster.controlplane.template import Template
from pytest_vcluster.controlplane.template_store import root_ca

if TYPE_CHECKING:
    from pytest_vcluster.hosts.recyclable import Recyclable

_log = logging.getLogger(__name__)


class BaselineStore:
    """Baselines on top of the template of that file name; `of_this_run` are shared by all stores of a run."""

    def __init__(self, cache: Path, template: str, of_this_run: dict[str, Template]) -> None:
        self._folder = folder(cache)
        self._template = template
        self._of_this_run = of_this_run

    def find(self, digest: str) -> Template | None:
        """The baseline of that digest, if clusters can be cloned from it."""
        name = self._name(digest)
        if name not in self._of_this_run:
            try:
                document = json.loads((self._folder / name).read_bytes())
                self._of_this_run[name] = Template.load(json.dumps(document["template"]).encode())
            except (FileNotFoundError, ValueError, KeyError, TypeError):
                # Not there, or of another version of this plugin: it will be laid and kept again.
                return None
        return self._of_this_run[name]

    async def keep(self, digest: str, cluster: Recyclable, about: str, *, service_range: ServiceRange) -> None:
        """Keep what `cluster` holds, if it can be cloned; for other runs only if `about` tells what it is made of."""
        if digest:
            await asyncio.to_thread(self._keep, self._name(digest), cluster, about, service_range)

    def _keep(self, name: str, cluster: Recyclable, about: str, service_range: ServiceRange) -> None:
        state = cluster.read()
        if obstacle(state):
            return
        with contextlib.closing(cluster.api()) as client:
            made = template_of(cluster.version, state, root_ca(client, state), service_range=service_range)
        self._of_this_run[name] = made
        if about:
            try:
                self._write(name, {"about": about, "version": cluster.version, "template": json.loads(made.dump())})
            except OSError as error:
                # This run has it all the same; the next one lays it again.
                _log.warning("the baseline can't be kept in %s: %s", self._folder, error)

    def _write(self, name: str, document: object) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = self._folder / f"{name}.{os.getpid()}.partial"
        partial.write_text(json.dumps(document))
        partial.replace(self._folder / name)

    def _name(self, digest: str) -> str:
        return f"{Path(self._template).stem}-{digest}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedBaseline:
    """A baseline in the cache."""

    path: Path
    version: str
    about: str
    size: int
    """Bytes."""


def folder(cache: Path) -> Path:
    """Where baselines are kept."""
    return cache / "baselines"


def cached(cache: Path) -> Iterator[CachedBaseline]:
    """All baselines in the cache."""
    for path in sorted(folder(cache).glob("*.json")):
        try:
            document = json.loads(path.read_bytes())
            yield CachedBaseline(
                path=path, version=document["version"], about=document["about"], size=path.stat().st_size
            )
        except (OSError, ValueError, KeyError, TypeError):
            yield CachedBaseline(path=path, version="?", about="unreadable", size=0)

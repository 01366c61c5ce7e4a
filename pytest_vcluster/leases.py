"""The leases that this process holds for its tests, from the marker's wish to the release.

A lease belongs to the fixture that opened it and concerns every test that uses this fixture. The one rule: what a test
left behind (a death, evidence, the wish to be kept) is recorded on its `Held`, which outlives the lease, so that
reports can be made in whatever order pytest asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_vcluster.backend import Backend, RunServiceBackend
from pytest_vcluster.manifests import ManifestFiles
from pytest_vcluster.marker import MARKER, NO_WISH, Wish, wish_of
from pytest_vcluster.options import SETTINGS
from pytest_vcluster.settings import Settings
from pytest_vcluster.workers import given_to_worker, is_worker

if TYPE_CHECKING:
    from pytest_vcluster.cluster import VCluster
    from pytest_vcluster.service.client import Death, Lease

BACKEND = pytest.StashKey[Backend]()
BOOK = pytest.StashKey["Book"]()
WISH = pytest.StashKey[Wish]()


@dataclass(kw_only=True, eq=False)
class Held:
    """One lease and its cluster, while it is open and after."""

    lease: Lease
    cluster: VCluster
    fixture: str
    version: str
    keep: bool
    open: bool = True
    deaths: list[Death] = field(default_factory=list)
    evidence: Path | None = None
    evidence_problem: str = ""
    speculative: bool = False
    """Whether the evidence was taken before it was known that the test fails."""

    def seen_deaths(self) -> list[Death]:
        """All deaths so far; asks the run service while the lease is open."""
        if self.open:
            known = {(death.component, death.status) for death in self.deaths}
            self.deaths += [new for new in self.lease.deaths() if (new.component, new.status) not in known]
        return self.deaths


class Book:
    """Which leases concern which test."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.files = ManifestFiles()
        self.expected: Mapping[str, int] = {}
        self.current: pytest.Item | None = None
        self.evidence_root: Callable[[], Path] | None = None
        self._held: list[Held] = []
        self._opened_by: dict[str, list[Held]] = {}
        self._blamed: set[str] = set()

    @property
    def used(self) -> bool:
        """Whether this process ever asked for a cluster."""
        return self.evidence_root is not None

    def add(self, held: Held) -> None:
        """Take note of a new lease, which concerns the test that is running."""
        self._held.append(held)
        if self.current is not None:
            self._opened_by.setdefault(self.current.nodeid, []).append(held)

    def close(self, held: Held) -> None:
        """Forget an ended lease but for the tests that it concerned while they run."""
        held.open = False
        self._held.remove(held)

    def held(self, cluster: VCluster) -> Held:
        """The open lease of `cluster`."""
        return next(held for held in self._held if held.cluster is cluster)

    def of(self, item: pytest.Item) -> list[Held]:
        """Leases that concern `item`: those opened while it runs, and those of the wider fixtures that it uses."""
        opened = self._opened_by.get(item.nodeid, [])
        names = getattr(item, "fixturenames", ())
        return opened + [held for held in self._held if held.fixture in names and held not in opened]

    def blame_once(self, item: pytest.Item) -> bool:
        """Whether a death still has to be told in a report of `item`; from then on it was."""
        if item.nodeid in self._blamed:
            return False
        self._blamed.add(item.nodeid)
        return True

    def done(self, item: pytest.Item) -> None:
        """Let go of what was kept for the reports of `item`."""
        self._opened_by.pop(item.nodeid, None)
        self._blamed.discard(item.nodeid)


def backend_of(config: pytest.Config) -> Backend:
    """The run's backend, made when somebody first needs it."""
    if BACKEND not in config.stash:
        settings = config.stash[SETTINGS]
        config.stash[BACKEND] = (
            RunServiceBackend.of_worker(given_to_worker(config)["run"], settings)
            if is_worker(config)
            else RunServiceBackend.of_controller(settings)
        )
    return config.stash[BACKEND]


def wish_at(node: pytest.Item | pytest.Collector) -> Wish:
    """What the markers on and above `node` ask for; raises `SettingsError`."""
    if WISH not in node.stash:
        marks = [(mark.args, mark.kwargs) for mark in node.iter_markers(MARKER)]
        files = node.config.stash[BOOK].files
        wish = wish_of(marks, test=node.nodeid, bases=folders_of(node), files=files) if marks else NO_WISH
        node.stash[WISH] = wish
    return node.stash[WISH]


def folders_of(node: pytest.Item | pytest.Collector) -> tuple[Path, Path]:
    """Where relative paths in `node` start from: beside its file, then pytest's rootdir."""
    return (node.path if node.path.is_dir() else node.path.parent), node.config.rootpath

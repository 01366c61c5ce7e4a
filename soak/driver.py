"""All leases of a soak, by several holders at once, from one run service.

The one rule: who holds what, and who had it before, is known at any time; so every difference has a seed to blame.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pytest_vcluster.errors import VClusterError
from pytest_vcluster.service import client
from pytest_vcluster.settings import Settings
from soak.figures import Figures, Leased, failure
from soak.holder import Reference, hold
from soak.scenario import LOOK, scenario

_SHUT_DOWN_SECONDS = 10.0
_LINE_EVERY = 50
Tell = Callable[[str], None]


class Soak:
    """One run: the references first, then a lease for each seed."""

    def __init__(self, settings: Settings, *, workers: int, tell: Tell, most_failures: int) -> None:
        self.figures = Figures()
        self._run = client.Run.of_controller()
        self._settings = settings
        self._workers = workers
        self._tell = tell
        self._most_failures = most_failures
        self._lock = threading.Lock()
        self._history: dict[str, tuple[int, ...]] = {}
        self._known: dict[str, frozenset[str]] = {}
        """Cluster -> the differences that it was seen with: each is told once."""
        self._references: dict[str, Reference] = {}
        self._failures = 0
        self._stopped = threading.Event()

    def run(self, seeds: Iterable[int]) -> Mapping[str, Any] | None:
        """Soak with each of the seeds; the run service's last summary."""
        known = list(seeds)
        try:
            for version in self._settings.versions:
                lease, _ = self._open(version, "fresh", "soak: what a fresh cluster is like", count=len(known) + 1)
                self._references[version] = Reference.of(lease)
                self._tell(f"compared with {lease.grant.cluster}, a fresh {lease.grant.version}")
            numbered = iter(enumerate(known, start=1))
            threads = [
                threading.Thread(target=self._work, args=(numbered, len(known)), daemon=True)
                for _ in range(self._workers)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            totals = client.summary(self._run)
            client.shut_down(self._run, timeout=_SHUT_DOWN_SECONDS)
        return totals

    def _work(self, numbered: Iterator[tuple[int, int]], count: int) -> None:
        while not self._stopped.is_set():
            with self._lock:
                number, seed = next(numbered, (0, 0))
            if not number:
                return
            version = self._settings.versions[(number - 1) % len(self._settings.versions)]
            self._keep(self._one(number, seed, version, count=count - number + 1))

    def _one(self, number: int, seed: int, version: str, *, count: int) -> Leased:
        began = time.monotonic()
        try:
            lease, waited = self._open(version, "recycle", f"soak: lease {number}, seed {seed}", count=count)
        except VClusterError as error:
            return Leased(
                number=number,
                seed=seed,
                version=version,
                cluster="no cluster",
                before=(),
                waited_seconds=time.monotonic() - began,
                error=f"no lease: {error}",
            )
        cluster = lease.grant.cluster
        with self._lock:
            before = self._history.get(cluster, ())
            self._history[cluster] = (*before, seed)
        began = time.monotonic()
        seen = hold(lease, self._references[version], LOOK if seed == LOOK.seed else scenario(seed))
        with self._lock:
            known = self._known.get(cluster, frozenset())
            self._known[cluster] = frozenset(seen.differences)
        new = tuple(line for line in seen.differences if line not in known)
        return Leased(
            number=number,
            seed=seed,
            version=version,
            cluster=cluster,
            before=before,
            waited_seconds=waited,
            held_seconds=time.monotonic() - began,
            differences=new,
            known=len(seen.differences) - len(new),
            lasting=seen.lasting,
            error=seen.error,
            deaths=seen.deaths,
            answers=seen.answers,
        )

    def _keep(self, leased: Leased) -> None:
        with self._lock:
            self.figures.leases.append(leased)
            if leased.differences or leased.error or leased.deaths:
                self._tell(failure(leased))
            if leased.differences or leased.error:
                self._failures += 1
                if self._failures >= self._most_failures:
                    self._stopped.set()
            line = len(self.figures.leases) % _LINE_EVERY == 0
        if line:
            self._tell(self.figures.line(client.summary(self._run)))

    def _open(self, version: str, isolation: str, holder: str, *, count: int) -> tuple[client.Lease, float]:
        began = time.monotonic()
        request = client.LeaseRequest(
            version=version,
            isolation=isolation,
            nodes=self._settings.nodes,
            holder=holder,
            expected={version: count},
            on_host=True,
        )
        # What is told of the reference, the first lease of a version, is told of all others again.
        progress = self._tell if isolation == "fresh" else _quietly
        lease = client.open_lease(
            self._run, self._settings, request, timeout=self._settings.timeout, on_progress=progress
        )
        return lease, time.monotonic() - began


def _quietly(_: str) -> None:
    return

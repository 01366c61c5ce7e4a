"""Holding a cluster: from the wish to the release, in one context manager.

The one rule: what a fixture hands out is pristine and has everything in it that the test asked for, and whatever
happens in between, the lease ends when the context does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_vcluster.baselines import baseline_id, name_of
from pytest_vcluster.errors import VClusterError
from pytest_vcluster.failures import take_evidence
from pytest_vcluster.leases import Book, Held, backend_of, folders_of, wish_at
from pytest_vcluster.manifests import ManifestFiles
from pytest_vcluster.marker import Wish, parse_wish
from pytest_vcluster.progress import terminal_progress
from pytest_vcluster.running import activate
from pytest_vcluster.settings import NodeShape, Settings

if TYPE_CHECKING:
    from pytest_vcluster.cluster import VCluster

Baseline = Callable[["VCluster"], object]
_FAILURES = (Exception, pytest.fail.Exception)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The host cluster, for the curious; a test that changes it changes it for all."""

    kind: str
    version: str
    nodes: tuple[str, ...]
    kubeconfig: Path
    url: str


class Factory(Protocol):
    """What `vcluster_factory` gives: call it in a `with` statement."""

    def __call__(
        self,
        *,
        version: str | None = None,
        crds: str | Path | Sequence[str | Path] = (),
        manifests: str | Path | Sequence[str | Path] = (),
        isolation: str | None = None,
        nodes: int | Sequence[Mapping[str, object] | NodeShape] | None = None,
    ) -> contextlib.AbstractContextManager[VCluster]:
        """A pristine cluster for as long as the `with` statement lasts."""


@contextlib.contextmanager
def hold_for_node(request: pytest.FixtureRequest, *, version: str, baseline: Baseline | None) -> Iterator[VCluster]:
    """A cluster as the markers on and above the fixture's node want it, for as long as the fixture lasts."""
    book = activate(request.config)
    if book.current is None and isinstance(request.node, pytest.Item):
        book.current = request.node  # asked for by getfixturevalue, in a run that seemed to need no cluster
    wish = wish_at(request.node)
    with _hold(request, version=version, wish=wish, holder=request.node.nodeid, baseline=baseline) as cluster:
        yield cluster


def factory_for(request: pytest.FixtureRequest, *, version: str, baseline: Baseline | None) -> Factory:
    """What makes clusters on demand, of this version unless told otherwise."""
    config = request.config
    book = activate(config)

    @contextlib.contextmanager
    def cluster(**wishes: object) -> Iterator[VCluster]:
        current = book.current or request.node
        wish = parse_wish(wishes, bases=folders_of(current), files=book.files)
        with _hold(request, version=version, wish=wish, holder=current.nodeid, baseline=baseline) as made:
            try:
                yield made
            except Exception as error:
                # This cluster ends inside the test: what a failure leaves in it must be taken now.
                if not isinstance(error, pytest.skip.Exception | pytest.xfail.Exception) and book.current:
                    take_evidence(book.current, book.held(made), speculative=True)
                raise

    return cluster


def host_for(config: pytest.Config) -> Host:
    """The run's host cluster, started if need be."""
    activate(config)
    facts: Mapping[str, Any] = backend_of(config).host(on_progress=terminal_progress(config))
    return Host(
        kind=facts["kind"],
        version=facts["version"],
        nodes=tuple(facts["nodes"]),
        kubeconfig=Path(facts["kubeconfig"]),
        url=facts["url"],
    )


@contextlib.contextmanager
def _hold(
    request: pytest.FixtureRequest, *, version: str, wish: Wish, holder: str, baseline: Baseline | None
) -> Iterator[VCluster]:
    """A pristine cluster with the wish's objects in it."""
    config = request.config
    book = activate(config)
    book.evidence_root = _evidence_root(request, book.settings)
    wanted = baseline_id(wish, baseline, files=book.files)
    with contextlib.ExitStack() as stack:
        lease = backend_of(config).open_lease(
            version=wish.version or version,
            isolation=wish.isolation or book.settings.isolation,
            nodes=book.settings.nodes if wish.nodes is None else wish.nodes,
            holder=holder,
            expected=book.expected,
            on_host=wish.nodes is not None,
            baseline=wanted.digest,
            baseline_about=wanted.about,
            on_progress=terminal_progress(config),
        )
        stack.callback(lease.release)
        held = Held(
            lease=lease,
            cluster=backend_of(config).handle(lease),
            fixture=str(request.fixturename),
            version=lease.grant.version,
            keep=book.settings.keep == "always",
        )
        book.add(held)
        stack.callback(_end, held, book)
        if not lease.grant.laid:
            try:
                lay_baseline(held, wish, baseline, files=book.files)
            except _FAILURES:
                # The cluster ends with this fixture, before anybody has reported that it failed.
                if book.current is not None:
                    take_evidence(book.current, held, speculative=True)
                raise
        held.cluster.near = lambda: folders_of(book.current or request.node)
        yield held.cluster


def lay_baseline(held: Held, wish: Wish, baseline: Baseline | None, *, files: ManifestFiles) -> None:
    """Bring a fresh cluster to where tests start from: definitions first, then objects, then `vcluster_baseline`.

    It is done once for all tests that want the same; if it fails, it fails for all of them.
    """
    try:
        _lay(held.cluster, wish, baseline, files=files)
        held.lease.laid()
    except _FAILURES as error:
        first_line = (str(error).strip() or repr(error)).splitlines()[0]
        with contextlib.suppress(VClusterError):  # the error that counts is on its way
            held.lease.not_laid(f"{type(error).__name__}: {first_line}")
        raise


def _lay(cluster: VCluster, wish: Wish, baseline: Baseline | None, *, files: ManifestFiles) -> None:
    objects = [found for path in (*wish.crds, *wish.manifests) for found in files.objects(path)]
    if objects:
        try:
            cluster.apply(objects)
        except VClusterError as error:
            paths = ", ".join(str(path) for path in (*wish.crds, *wish.manifests))
            error.add_note(f"While applying crds and manifests of @pytest.mark.vcluster: {paths}")
            raise
    if baseline is not None:
        try:
            baseline(cluster)
        except _FAILURES as error:
            error.add_note(f"While {name_of(baseline)}, which the fixture vcluster_baseline gave, prepared the cluster")
            raise


def _end(held: Held, book: Book) -> None:
    with contextlib.ExitStack() as stack:
        # Backwards: files of a kept handle stay for the person who wants to look, the last word on deaths comes with
        # the answer to the release, and whatever goes wrong before, the book is right in the end.
        stack.callback(book.close, held)
        stack.callback(held.seen_deaths)
        stack.callback(held.lease.release, keep=held.keep)
        held.cluster.close(keep_files=held.keep)


def _evidence_root(request: pytest.FixtureRequest, settings: Settings) -> Callable[[], Path]:
    if settings.evidence is not None:
        return lambda: settings.evidence or Path()
    # pytest keeps the temporary folders of the last three runs, which is as long as anybody looks for this.
    temporary: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
    return lambda: temporary.getbasetemp() / "vcluster-evidence"

"""The fixtures: clusters of various lifetimes, and the knobs a project may override.

The one rule: a fixture yields once and holds no logic; that is in `hold`. None is autouse: a run in which no test asks
for a cluster starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_vcluster.options import SETTINGS

if TYPE_CHECKING:
    from pytest_vcluster.cluster import VCluster
    from pytest_vcluster.hold import Baseline, Factory, Host

LEADING_TO_A_CLUSTER = frozenset({"vcluster", "vcluster_module", "vcluster_session", "vcluster_factory"})
"""Fixtures with which a test runs once per Kubernetes version."""


def lead_to_a_cluster(fixturenames: Iterable[str]) -> bool:
    """Whether a test with these fixtures, its own and those behind them, has a cluster."""
    return not LEADING_TO_A_CLUSTER.isdisjoint(fixturenames)


@pytest.fixture(scope="session")
def vcluster_baseline() -> Callable[[VCluster], object] | None:
    """Override it: a callable that brings a fresh cluster to the state that every test starts from, or None."""
    return None


@pytest.fixture(scope="session")
def vcluster_version(request: pytest.FixtureRequest) -> str:
    """The Kubernetes version that the test runs on, such as v1.36.4."""
    version: str = getattr(request, "param", request.config.stash[SETTINGS].versions[0])
    return version


@pytest.fixture
def vcluster(
    request: pytest.FixtureRequest, vcluster_version: str, vcluster_baseline: Baseline | None
) -> Iterator[VCluster]:
    """A pristine Kubernetes cluster of the test's own."""
    from pytest_vcluster.hold import hold_for_node  # noqa: PLC0415 - start-up time

    with hold_for_node(request, version=vcluster_version, baseline=vcluster_baseline) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def vcluster_module(
    request: pytest.FixtureRequest, vcluster_version: str, vcluster_baseline: Baseline | None
) -> Iterator[VCluster]:
    """A Kubernetes cluster that the tests of a module share; a `pytestmark` of the module says what is in it."""
    from pytest_vcluster.hold import hold_for_node  # noqa: PLC0415 - start-up time

    with hold_for_node(request, version=vcluster_version, baseline=vcluster_baseline) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def vcluster_session(
    request: pytest.FixtureRequest, vcluster_version: str, vcluster_baseline: Baseline | None
) -> Iterator[VCluster]:
    """A Kubernetes cluster that all tests of this process share: one per xdist worker."""
    from pytest_vcluster.hold import hold_for_node  # noqa: PLC0415 - start-up time

    with hold_for_node(request, version=vcluster_version, baseline=vcluster_baseline) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def vcluster_factory(
    request: pytest.FixtureRequest, vcluster_version: str, vcluster_baseline: Baseline | None
) -> Factory:
    """As many clusters as a test wants, each for the length of a `with` statement: see `Factory`."""
    from pytest_vcluster.hold import factory_for  # noqa: PLC0415 - start-up time

    return factory_for(request, version=vcluster_version, baseline=vcluster_baseline)


@pytest.fixture(scope="session")
def vcluster_host(request: pytest.FixtureRequest) -> Host:
    """The host cluster that carries the pods of all virtual clusters; starts it if nothing did so far."""
    from pytest_vcluster.hold import host_for  # noqa: PLC0415 - start-up time

    return host_for(request.config)

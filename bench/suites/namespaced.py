"""The tests of `touching` on one shared cluster, each in a namespace of its own that nobody waits to be gone.

The definition is there once for all: two tests can't each have their own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from bench.suites import objects
from pytest_vcluster import VCluster


@pytest.fixture(scope="session")
def shared(vcluster_session: VCluster) -> VCluster:
    vcluster_session.apply(objects.definition())
    return vcluster_session


@pytest.fixture
def namespace(shared: VCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"test-{request.getfixturevalue('number')}".replace("--", "-warm-up-")
    shared.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    shared.delete(f"namespace/{name}", wait=False)


@pytest.mark.parametrize("number", objects.numbers())
def test_touches(shared: VCluster, namespace: str, number: int) -> None:
    shared.apply(objects.touched(number), namespace=namespace)
    time.sleep(0 if number >= 0 else objects.WARM_UP_SECONDS)

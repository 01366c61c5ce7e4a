"""Tests of a small operator that runs in a thread of the test: a custom resource in, a ConfigMap and a status out.

With BENCH_SHARED all tests of a process use one cluster, and give their objects names that no other test uses. No test
begins before every worker has its first cluster: the clock starts with the first body, and no start should be in it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.suites import objects
from pytest_vcluster import VCluster

COUNT = int(os.environ["BENCH_COUNT"])
SHARED = "BENCH_SHARED" in os.environ
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

pytestmark = pytest.mark.vcluster(crds="definition.yaml")


@pytest.fixture(scope="session")
def shared(vcluster_session: VCluster) -> VCluster:
    vcluster_session.apply("definition.yaml")
    return vcluster_session


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> VCluster:
    found: VCluster = request.getfixturevalue("shared" if SHARED else "vcluster")
    wait_for_all_workers()
    return found


def wait_for_all_workers() -> None:
    Path(f"here-{os.getpid()}").touch()
    deadline = time.monotonic() + 120
    while len(list(Path().glob("here-*"))) < WORKERS:
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return f"shop-{request.getfixturevalue('number')}" if SHARED else "shop"


@pytest.fixture
def operator(cluster: VCluster, name: str) -> Iterator[None]:
    thread = threading.Thread(target=reconcile, args=(cluster, name))
    thread.start()
    yield
    thread.join(10)


def reconcile(cluster: VCluster, name: str) -> None:
    """Wait for the resource, read what it refers to, write what it asks for, and say so."""
    wanted = cluster.wait(f"widgets/{name}", "create")
    parts = [cluster.get("ConfigMap", f"{name}-{part}")["data"]["text"] for part in wanted["spec"]["parts"]]
    cluster.apply(objects.config_map(f"{name}-whole", text=" ".join(parts)))
    cluster.apply(objects.widget(name, spec=wanted["spec"], status={"phase": "Ready"}))


@pytest.mark.parametrize("number", range(COUNT))
@pytest.mark.usefixtures("operator")
def test_puts_parts_together(cluster: VCluster, name: str, number: int) -> None:
    parts = [objects.config_map(f"{name}-{part}", text=f"{part}{number}") for part in ("a", "b", "c")]
    cluster.apply([*parts, objects.widget(name, spec={"parts": ["a", "b", "c"]})])
    cluster.wait(f"widgets/{name}", "jsonpath={.status.phase}=Ready")
    assert cluster.get("ConfigMap", f"{name}-whole")["data"]["text"] == f"a{number} b{number} c{number}"
    if not SHARED:
        assert len(cluster.get("widgets")) == 1

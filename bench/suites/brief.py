"""Tests of 0.1 s that never wait: 20 lines that act as an operator, no pods, and the CPU busy from first to last.

With BENCH_SHARED all tests of a process use one cluster, and give their objects names that no other test uses. The one
rule: which cluster it is can be told from the names of fixtures alone, since the plugin counts by them what is to come.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from bench.suites import beginning, objects
from pytest_vcluster import VCluster

COUNT = int(os.environ["BENCH_COUNT"])
SHARED = "BENCH_SHARED" in os.environ

pytestmark = pytest.mark.vcluster(crds="definition.yaml")


@pytest.fixture(scope="session")
def shared(vcluster_session: VCluster) -> VCluster:
    vcluster_session.apply("definition.yaml")
    return vcluster_session


if SHARED:

    @pytest.fixture
    def cluster(shared: VCluster) -> VCluster:
        beginning.wait_for_all_workers()
        return shared

else:

    @pytest.fixture
    def cluster(vcluster: VCluster) -> VCluster:
        beginning.wait_for_all_workers()
        return vcluster


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

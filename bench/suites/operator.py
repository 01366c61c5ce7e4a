"""Tests of an operator in kopf, as its users write them: each starts it, and sees a Shop come, change and go.

With BENCH_SHARED all tests of a process use one cluster, and give their objects names that no other test uses; they
leave it as they leave their own. The one rule: a test waits for nothing but the operator and the cluster.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import kopf
import pytest

from bench.suites import beginning, shop_operator
from bench.suites.objects import Object, config_map
from pytest_vcluster import Timeout, VCluster

COUNT = int(os.environ["BENCH_COUNT"])
SHARED = "BENCH_SHARED" in os.environ
REGISTRY = kopf.get_default_registry()

pytestmark = [pytest.mark.vcluster(crds="definition.yaml"), pytest.mark.usefixtures("operator")]


@pytest.fixture(scope="session")
def shared(vcluster_session: VCluster) -> VCluster:
    vcluster_session.apply("definition.yaml")
    return vcluster_session


# The plugin counts by the names of fixtures what is to come, so none of them is asked for by `getfixturevalue`.
if SHARED:

    @pytest.fixture
    def cluster(shared: VCluster) -> VCluster:
        begin(shared)
        return shared

else:

    @pytest.fixture
    def cluster(vcluster: VCluster) -> VCluster:
        begin(vcluster)
        return vcluster


def begin(cluster: VCluster) -> None:
    """Before the first body, have the nodes there and definitions known to the controllers, as after a first test."""
    if beginning.is_first_test():
        wait_for_nodes(cluster)
        wait_for_collector(cluster)
    beginning.wait_for_all_workers()


def wait_for_nodes(cluster: VCluster) -> None:
    """Wait until pods can run: the first cluster of a run is there before the host is."""
    deadline = time.monotonic() + 60
    while not (nodes := cluster.get("Node")) or any(node["spec"].get("taints") for node in nodes):
        assert time.monotonic() < deadline, f"no nodes for pods within 60 s, but {nodes}"
        time.sleep(0.05)


def wait_for_collector(cluster: VCluster) -> None:
    """Wait until what a Shop owns is deleted with it.

    Upstream's garbage collector looks for new kinds every 30 s and asks again after ever longer pauses, so every try is
    with another Shop.
    """
    deadline = time.monotonic() + 60
    for number in range(1000):
        name = f"probe-{number}"
        (probe,) = cluster.apply(shop(name, greeting="none", replicas=0))
        owned = config_map(name)
        owned["metadata"]["ownerReferences"] = [
            {key: probe[key] for key in ("apiVersion", "kind")}
            | {key: probe["metadata"][key] for key in ("name", "uid")}
        ]
        cluster.apply(owned)
        cluster.delete(f"shops/{name}")
        try:
            cluster.wait(f"configmap/{name}", "delete", timeout=1)
        except Timeout:
            if time.monotonic() > deadline:
                raise
        else:
            return


@pytest.fixture
def operator(cluster: VCluster) -> Iterator[None]:
    """The operator at work in the cluster of the test, as a thread."""
    ready, stop = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            kopf.run(registry=REGISTRY, clusterwide=True, standalone=True, ready_flag=ready, stop_flag=stop)
        except BaseException as error:
            failures.append(error)
            ready.set()

    with cluster.use(), contextlib.ExitStack() as ending:
        thread = threading.Thread(target=run, name=f"operator of {cluster.name}", daemon=True)
        thread.start()
        ending.callback(thread.join, 30)
        ending.callback(stop.set)
        assert ready.wait(timeout=30), "the operator did not start"
        yield
    assert not thread.is_alive(), "the operator did not stop"
    if failures:
        raise failures[0]


@pytest.fixture
def name(number: int) -> str:
    return f"shop-{number}" if SHARED else "shop"


@pytest.mark.parametrize("number", range(COUNT))
def test_a_shop_opens_changes_and_closes(cluster: VCluster, name: str, number: int) -> None:
    cluster.apply(shop(name, greeting=f"Hello {number}", replicas=2))
    wait_for_status(cluster, name, generation=1, ready=2)
    pods = cluster.get("Pod", selector=f"app.kubernetes.io/name={name}")
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]
    assert cluster.get("Service", name)["spec"]["clusterIP"]
    assert cluster.get("ConfigMap", name)["data"] == {"index.html": f"Hello {number}"}

    cluster.apply(shop(name, greeting=f"Goodbye {number}", replicas=3))
    wait_for_status(cluster, name, generation=2, ready=3)
    assert cluster.get("ConfigMap", name)["data"] == {"index.html": f"Goodbye {number}"}

    cluster.delete(f"shops/{name}")
    for ref in (f"priorityclass/default-{name}", f"deployment/{name}", f"service/{name}", f"configmap/{name}"):
        cluster.wait(ref, "delete")


def wait_for_status(cluster: VCluster, name: str, *, generation: int, ready: int) -> None:
    cluster.wait(f"shops/{name}", f"jsonpath={{.status.observedGeneration}}={generation}")
    cluster.wait(f"shops/{name}", f"jsonpath={{.status.readyReplicas}}={ready}")


def shop(name: str, *, greeting: str, replicas: int) -> Object:
    return {
        "apiVersion": "/".join((shop_operator.GROUP, shop_operator.VERSION)),
        "kind": "Shop",
        "metadata": {"name": name},
        "spec": {"image": "registry.example.org/shop:1.0", "greeting": greeting, "replicas": replicas},
    }

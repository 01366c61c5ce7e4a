"""The operator under test runs in this process, as a thread: set breakpoints in it, patch it, measure its coverage."""

import contextlib
import threading
import time

import kopf
import pytest
import webapp_operator  # noqa: F401 - its handlers are in the registry once it is imported

REGISTRY = kopf.get_default_registry()


@contextlib.contextmanager
def operator_running(vc):
    """The operator at work in a cluster, until the `with` statement ends."""
    ready, stop, failures = threading.Event(), threading.Event(), []

    def run():
        try:
            kopf.run(registry=REGISTRY, clusterwide=True, standalone=True, ready_flag=ready, stop_flag=stop)
        except BaseException as error:
            failures.append(error)
            ready.set()

    with vc.use():
        thread = threading.Thread(target=run, name=f"operator of {vc.name}", daemon=True)
        thread.start()
        assert ready.wait(timeout=30), "the operator did not start"
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=30)
            assert not thread.is_alive(), "the operator did not stop"
            if failures:
                raise failures[0]


@pytest.fixture
def operator(vcluster):
    """The operator at work in the cluster of the test."""
    with operator_running(vcluster):
        yield


@pytest.fixture
def webapp():
    """Makes WebApps, all of the same name: every test has a cluster to itself."""

    def make(name="shop", namespace="default", **spec):
        return {
            "apiVersion": "example.org/v1",
            "kind": "WebApp",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"image": "registry.example.org/shop:1.0", **spec},
        }

    return make


@pytest.fixture
def eventually():
    """Waits for what no condition of one object tells."""

    def wait(happened, timeout=30):
        deadline = time.monotonic() + timeout
        while not happened():
            assert time.monotonic() < deadline, f"not within {timeout} s"
            time.sleep(0.05)

    return wait

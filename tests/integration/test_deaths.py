"""A component that dies in mid-test fails that test, by name and with its log; later tests get healthy clusters."""

import sys

import pytest
from run_of_pytest import Run

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.timeout(600),  # whole runs of pytest, each with a host of its own
]

SUITE = """
    import os, pathlib, signal, time
    import pytest

    def kill(vcluster, component):
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().decode()
            except OSError:
                continue
            if f"/{component}\\0" in command and f"/{vcluster.name}/" in command:
                os.kill(int(entry.name), signal.SIGKILL)
                return
        raise AssertionError(f"no {component} of {vcluster.name}")

    def test_passes_but_for_the_death(vcluster):
        kill(vcluster, "kube-controller-manager")
        deadline = time.monotonic() + 60
        while not vcluster.lease.deaths():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def test_fails_because_of_the_death(vcluster):
        kill(vcluster, "kube-apiserver")
        vcluster.get("Namespace")

    def test_client_of_its_own(vcluster):
        import kubernetes
        api = kubernetes.client.CoreV1Api(vcluster.api_client())
        kill(vcluster, "kube-apiserver")
        api.list_namespace()

    def test_later(vcluster):
        assert len(vcluster.get("Namespace")) == 4
"""


@pytest.fixture(scope="module")
def text():
    run = Run("-p", "no:xdist", suite=SUITE, workers=0)
    try:
        yield run.finish()
        run.assert_nothing_left()
    finally:
        run.close()


@pytest.mark.parametrize(
    ("test", "component"),
    [
        ("test_passes_but_for_the_death", "kube-controller-manager"),
        ("test_fails_because_of_the_death", "kube-apiserver"),
        ("test_client_of_its_own", "kube-apiserver"),
    ],
)
def test_the_test_fails_and_names_what_died(text, test, component):
    part = text.split(f" {test} ")[1].split("\n____")[0]
    assert f"{component} of this test's cluster died (killed by signal 9)" in part
    assert "Last lines of" in part


def test_only_the_tests_whose_clusters_died_fail(text):
    assert "3 failed, 1 passed" in text

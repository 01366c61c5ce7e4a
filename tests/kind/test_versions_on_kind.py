"""Several Kubernetes versions and workers at once, all on the one kind cluster of a run of its own."""

from __future__ import annotations

import os
import re

import pytest
from run_of_pytest import Run

pytestmark = pytest.mark.timeout(1500)

VERSIONS = ("1.35", "1.36", "1.37")
WORKERS = 4
SECONDS = 1200.0
# The names are the same in all tests, what is under them is not.
SUITE = """
    import os, pathlib, time
    import pytest

    SEEN = pathlib.Path(os.environ["SIGNS"]) / "seen"

    @pytest.mark.parametrize("number", range(2))
    def test_alone(vcluster, number):
        mine = f"{vcluster.version} {number}"
        assert vcluster.api.rest.call("GET", "/version")["gitVersion"] == vcluster.version
        assert vcluster.get("pods", namespace="*") == []
        assert "team" not in [found["metadata"]["name"] for found in vcluster.get("namespaces")]
        container = {"name": "main", "image": "busybox:1.37", "command": ["sh", "-c", f"echo {mine}; sleep 1000"]}
        vcluster.apply([
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "same", "namespace": "team"},
             "data": {"mine": mine}},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "same"},
             "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}},
        ])
        vcluster.wait("pod/same", "Ready")
        deadline = time.monotonic() + 60
        while vcluster.logs("same") != f"{mine}\\n":
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert vcluster.get("configmap", "same", "team")["data"] == {"mine": mine}
        assert len(vcluster.get("pods", namespace="*")) == 1
        with SEEN.open("a") as file:
            file.write(f"{mine}\\n")
"""


def test_three_versions_and_four_workers_share_a_kind_cluster_and_leave_nothing() -> None:
    # Workers of this run are not those of that one.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    versions = ("--vcluster-version", ",".join(VERSIONS))
    run = Run(*versions, "--vcluster-timeout", "300", suite=SUITE, workers=WORKERS, environ=environ)
    try:
        text = run.finish(seconds=SECONDS)
        assert f" {2 * len(VERSIONS)} passed in " in text, text
        seen = sorted((run.signs / "seen").read_text().splitlines())
        assert [re.sub(r"^v(1\.\d+)\.\d+ ", r"\1 ", line) for line in seen] == [
            f"{version} {number}" for version in VERSIONS for number in range(2)
        ]
        run.assert_nothing_left(within=60)
        assert run.kind_containers() == []
    finally:
        run.close()

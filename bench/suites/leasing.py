"""Tests that make one ConfigMap each; some of them hold still until the cluster's API server was weighed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bench.suites import objects
from pytest_vcluster import VCluster

COUNT = int(os.environ["BENCH_COUNT"])
WEIGHED = frozenset(map(int, os.environ.get("BENCH_WEIGHED", "").split()))


@pytest.mark.parametrize("number", range(1, COUNT + 1))
def test_leases(vcluster: VCluster, number: int) -> None:
    vcluster.apply(objects.config_map("one", number=str(number)))
    if number in WEIGHED:
        partial = Path(f"partial-{number}")
        partial.write_text(vcluster.name)
        partial.rename(f"held-{number}")
        deadline = time.monotonic() + 60
        while not Path(f"weighed-{number}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)

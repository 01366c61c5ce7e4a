"""Tests that touch 10 to 100 objects and a definition with custom resources, and then work for a while.

The first ones only give the pool time to make its clusters.
"""

from __future__ import annotations

import os
import time

import pytest

from bench.suites import objects
from pytest_vcluster import VCluster

WORK = float(os.environ.get("BENCH_WORK", "0"))


@pytest.mark.parametrize("number", objects.numbers())
def test_touches(vcluster: VCluster, number: int) -> None:
    vcluster.apply([objects.definition(), *objects.touched(number)])
    time.sleep(WORK if number >= 0 else objects.WARM_UP_SECONDS)

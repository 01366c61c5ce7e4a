from __future__ import annotations

import os
import shutil

import pytest
import yaml  # noqa: F401 - its C half survives only if it is not imported anew by every run in this process
from plugin_runs import FAKE, Runs

import pytest_vcluster.hold  # noqa: F401 - for speed: what is imported here is not imported anew by every run


@pytest.fixture
def runs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Runs without inherited settings, over the fake world."""
    for name in list(os.environ):
        if name.startswith(("PYTEST_VCLUSTER_", "FAKE_", "PYTEST_XDIST")):
            monkeypatch.delenv(name)
    shutil.copy(FAKE, pytester.path / FAKE.name)
    pytester.makeconftest('pytest_plugins = ["fake_vcluster"]')
    pytester.makeini("[pytest]\n")
    return Runs(pytester)

"""A pytest plugin that notes, from within a measured run, when the fixture was asked for and when it was there.

Loaded with `-p bench.recorder` in runs that `suite` starts. Lines of JSON go to the file that BENCH_RECORD names. The
one rule: it looks at pytest's hooks only, so it measures what a user's test waits for, whatever happens below.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

RECORD = "BENCH_RECORD"
PAUSE = "BENCH_PAUSE"
FIXTURE = "vcluster"


def _note(**fields: object) -> None:
    with Path(os.environ[RECORD]).open("a", encoding="utf-8") as record:
        record.write(json.dumps({"at": time.monotonic(), **fields}) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Time the set-up of the fixture that hands out a cluster."""
    if fixturedef.argname != FIXTURE:
        return (yield)
    began = time.monotonic()
    result = yield
    _note(event="fixture", seconds=time.monotonic() - began)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Leave the pool time between two tests, where the run asks for it."""
    result = yield
    if nextitem is not None:
        time.sleep(float(os.environ.get(PAUSE, "0")))
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """Note when the last test was over."""
    _note(event="over")

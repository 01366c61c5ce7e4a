"""A pytest plugin that notes, from within a measured run, when a fixture was asked for and there, and when tests ran.

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
FIXTURE = "BENCH_FIXTURE"
_DEFAULT_FIXTURE = "vcluster"


def _note(**fields: object) -> None:
    with Path(os.environ[RECORD]).open("a", encoding="utf-8") as record:
        record.write(json.dumps({"at": time.monotonic(), **fields}) + "\n")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Time the set-up of the fixture that hands out a cluster, or what the run names instead."""
    if fixturedef.argname != os.environ.get(FIXTURE, _DEFAULT_FIXTURE):
        return (yield)
    began = time.monotonic()
    result = yield
    _note(event="fixture", seconds=time.monotonic() - began)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Note when the body of a test began and ended."""
    began = time.monotonic()
    try:
        return (yield)
    finally:
        _note(event="body", worker=os.getpid(), began=began, ended=time.monotonic())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Note when a test was over, and leave the pool time before the next one, where the run asks for it."""
    result = yield
    _note(event="test")
    if nextitem is not None:
        time.sleep(float(os.environ.get(PAUSE, "0")))
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """Note when the last test was over."""
    _note(event="over")

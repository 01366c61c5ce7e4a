"""Runs of pytest within tests: each in a folder of its own, over a world without Kubernetes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

FAKE = Path(__file__).with_name("fake_vcluster.py")

LIGHT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:anyio")
"""Other people's plugins take most of the time of a short run."""


class Runs:
    """Starts pytest runs in a folder, and tells what they did to the world."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path

    def test(self, source: str, *args: str, **files: str) -> pytest.RunResult:
        """Run the test file `source`."""
        self.pytester.makepyfile(test_it=source, **files)
        return self.again(*args)

    def again(self, *args: str) -> pytest.RunResult:
        """Run what is there already."""
        return self.pytester.runpytest_inprocess(*LIGHT, *args, no_reraise_ctrlc=True)

    def world(self, event: str | None = None) -> Sequence[Mapping[str, Any]]:
        """What happened, or only the events of one kind."""
        path = self.path / "world.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if event in (None, line["event"])]

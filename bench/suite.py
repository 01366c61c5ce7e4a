"""Runs pytest on a generated project, as a user would, in a process of its own.

The one rule: everything that such a run starts can be told by the temporary folder in its environment, which no other
run has. So it can be counted, weighed, and looked for afterwards.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import processes
from bench.children import ended, running, tail
from bench.model import Ground, NotMeasured
from bench.recorder import RECORD

_DEADLINE_SECONDS = 300.0
# Nothing of what the caller's pytest or shell is set to may shape a measured run.
_NOT_INHERITED = ("PYTEST_", "COV_", "TMPDIR", "PYTHONWARNINGS", "KUBECONFIG")
_KEPT = ("PYTEST_VCLUSTER_CACHE", "PYTEST_VCLUSTER_K8S_MIRROR", "PYTEST_VCLUSTER_GITHUB_MIRROR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder with tests in it, and the environment that pytest is run in."""

    directory: Path
    environment: Mapping[str, str]
    options: tuple[str, ...]

    @property
    def temporary(self) -> Path:
        """The folder that marks every process of the project's runs."""
        return Path(self.environment["TMPDIR"])

    @property
    def log(self) -> Path:
        """What pytest printed."""
        return self.directory / "pytest.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A pytest run that has ended well."""

    wall_seconds: float
    end_seconds: float
    """From the end of the last test until the process had ended."""
    fixture_seconds: tuple[float, ...]
    """How long the set-up of each test's cluster took, in order."""


def project(ground: Ground, name: str, *, tests: str, environment: Mapping[str, str] | None = None) -> Project:
    """A new project whose only file holds `tests`, run on the embedded host with binaries that are there."""
    directory = ground.folder(name)
    (directory / "pytest.ini").write_text("[pytest]\n")
    (directory / "test_measured.py").write_text(tests)
    temporary = directory / "t"
    temporary.mkdir()
    return Project(
        directory=directory,
        environment={**_inherited(), "PYTHONPATH": str(ground.repository), "TMPDIR": str(temporary)}
        | dict(environment or {}),
        options=("-q", "-p", "no:cacheprovider", f"--vcluster-version={ground.version}", "--vcluster-offline"),
    )


@contextmanager
def started(made: Project, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start pytest; at the end of the `with` statement nothing of its run is left."""
    argv = [sys.executable, "-m", "pytest", *made.options, *options]
    try:
        with running(argv, log=made.log, env=made.environment, cwd=made.directory) as process:
            yield process
    finally:
        processes.end_all(made.temporary)


def run(made: Project, *options: str) -> Ran:
    """Run pytest to its end and tell how long what took; NotMeasured when it fails."""
    record = made.directory / "record.jsonl"
    record.unlink(missing_ok=True)
    with_record = Project(
        directory=made.directory, environment={**made.environment, RECORD: str(record)}, options=made.options
    )
    began = time.monotonic()
    with started(with_record, "-p", "bench.recorder", *options) as process:
        finish(with_record, process)
        over_at = time.monotonic()
        if left := processes.of_run(made.temporary):
            raise NotMeasured(f"the run left processes behind: {', '.join(sorted(one.name for one in left))}")
    notes: list[dict[str, Any]] = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    over = next(float(note["at"]) for note in notes if note["event"] == "over")
    return Ran(
        wall_seconds=over_at - began,
        end_seconds=over_at - over,
        fixture_seconds=tuple(float(note["seconds"]) for note in notes if note["event"] == "fixture"),
    )


def finish(made: Project, process: subprocess.Popen[bytes], *, expected: Sequence[int] = (0,)) -> None:
    """Wait for a pytest process to end well; NotMeasured with its last words when it does not."""
    if not ended(process, within=_DEADLINE_SECONDS):
        raise NotMeasured(f"pytest did not end within {_DEADLINE_SECONDS:.0f} s; its last words:\n{tail(made.log)}")
    if process.returncode not in expected:
        raise NotMeasured(f"pytest ended with {process.returncode}; its last words:\n{tail(made.log, 25)}")


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith(_NOT_INHERITED)}

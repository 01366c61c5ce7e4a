"""Runs pytest on a generated project, as a user would, in a process of its own.

The one rule: everything that such a run starts can be told by the temporary folder in its environment, which no other
run has. So it can be counted, weighed, and looked for afterwards.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import processes, spent
from bench.children import ended, running, tail
from bench.model import Ground, NotMeasured
from bench.recorder import RECORD
from bench.timeline import Body

SUITES = Path(__file__).with_name("suites")
"""Files of tests that take their numbers from the environment."""
COUNT = "BENCH_COUNT"

_DEADLINE_SECONDS = 600.0
_RETIRED = re.compile(r"^retired (\d+): (.*)$", re.MULTILINE)
_FRESH = re.compile(r"^\d+ leases on host .*: (\d+) fresh", re.MULTILINE)
_POLL_SECONDS = 0.05
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
    bodies: tuple[Body, ...] = ()
    """When the tests themselves ran, in the order in which they ended."""
    over: tuple[float, ...] = ()
    """When each test was over, its teardown included."""
    fresh: int = 0
    """Clusters that were made."""
    retired: Mapping[str, int] = field(default_factory=dict)
    """How many of them could not be put back, by the reason."""
    cpu_seconds: float | None = None
    """CPU time of all its processes, if that was counted."""


def project(ground: Ground, name: str, *, tests: str | Path, environment: Mapping[str, str] | None = None) -> Project:
    """A new project whose only file holds `tests` (the text, or a file of `SUITES`), run on the embedded host."""
    directory = ground.folder(name)
    (directory / "pytest.ini").write_text("[pytest]\n")
    text = tests if isinstance(tests, str) else tests.read_text(encoding="utf-8")
    (directory / "test_measured.py").write_text(text, encoding="utf-8")
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
    with launched(made, "pytest", *made.options, *options) as process:
        yield process


@contextmanager
def launched(made: Project, module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a module as a program; at the end of the `with` statement nothing that bears the project's mark is left."""
    made.log.unlink(missing_ok=True)
    argv = [sys.executable, "-m", module, *arguments]
    try:
        with running(argv, log=made.log, env=made.environment, cwd=made.directory) as process:
            yield process
    finally:
        processes.end_all(made.temporary)


def run(made: Project, *options: str, counted: bool = False) -> Ran:
    """Run pytest to its end and tell how long what took; NotMeasured when it fails.

    With `counted` it also tells what CPU time it took, where that can be had.
    """
    record = made.directory / "record.jsonl"
    record.unlink(missing_ok=True)
    with_record = Project(
        directory=made.directory, environment={**made.environment, RECORD: str(record)}, options=made.options
    )
    began = time.monotonic()
    note = made.directory / "spent.json"
    around = ("bench.spent", str(note), "pytest") if counted and spent.is_supported() else ("pytest",)
    with launched(with_record, *around, *made.options, "-p", "bench.recorder", *options) as process:
        finish(with_record, process)
        over_at = time.monotonic()
        if left := processes.of_run(made.temporary):
            raise NotMeasured(f"the run left processes behind: {', '.join(sorted(one.name for one in left))}")
    notes = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    found = ran(notes, made.log.read_text(errors="replace"), wall_seconds=over_at - began, over_at=over_at)
    return replace(found, cpu_seconds=spent.seconds(note)) if len(around) > 1 else found


def ran(notes: Iterable[Mapping[str, Any]], said: str, *, wall_seconds: float, over_at: float) -> Ran:
    """What the recorder noted, and what pytest `said` at the end, put together."""
    by_event: dict[str, list[Mapping[str, Any]]] = {}
    for note in notes:
        by_event.setdefault(note["event"], []).append(note)
    fresh = _FRESH.search(said)
    return Ran(
        wall_seconds=wall_seconds,
        # Workers end before the process that started them.
        end_seconds=over_at - max(float(note["at"]) for note in by_event["over"]),
        fixture_seconds=tuple(float(note["seconds"]) for note in by_event.get("fixture", ())),
        bodies=tuple(
            Body(worker=note["worker"], began=note["began"], ended=note["ended"]) for note in by_event.get("body", ())
        ),
        over=tuple(float(note["at"]) for note in by_event.get("test", ())),
        fresh=int(fresh[1]) if fresh else 0,
        retired=retired(said),
    )


def retired(said: str) -> dict[str, int]:
    """How many clusters could not be put back, by the reason, as the summary at the end of pytest tells it."""
    return {reason: int(count) for count, reason in _RETIRED.findall(said)}


def finish(
    made: Project,
    process: subprocess.Popen[bytes],
    *,
    expected: Sequence[int] = (0,),
    within: float = _DEADLINE_SECONDS,
) -> None:
    """Wait for a process of the project to end well; NotMeasured with its last words when it does not."""
    if not ended(process, within=within):
        raise NotMeasured(f"the run did not end within {within:.0f} s; its last words:\n{tail(made.log)}")
    if process.returncode not in expected:
        raise NotMeasured(f"the run ended with {process.returncode}; its last words:\n{tail(made.log, 25)}")


def await_file(made: Project, process: subprocess.Popen[bytes], name: str, *, within: float) -> Path:
    """Wait for a file that a test writes; NotMeasured if pytest ends before, or it takes too long."""
    path = made.directory / name
    deadline = time.monotonic() + within
    while not path.exists():
        if process.poll() is not None:
            finish(made, process, expected=())
        if time.monotonic() > deadline:
            raise NotMeasured(f"no {name} within {within:.0f} s; the last words:\n{tail(made.log)}")
        time.sleep(_POLL_SECONDS)
    return path


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith(_NOT_INHERITED)}

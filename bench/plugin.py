"""What the plugin costs those who have it installed and don't use it.

The one rule: with and without are run right after one another, many times, and the quickest of each are compared: what
else the machine does only ever makes a process slower, by more than the milliseconds that are looked for here.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import names, processes
from bench.children import ended, running, tail
from bench.model import Contender, Ground, Metric, NotMeasured, Once, Samples

_PAIRS, _PAIRS_QUICK = 10, 4
_TESTS = """\
import pytest

@pytest.mark.parametrize("number", range(20))
def test_without_a_cluster(number):
    assert number >= 0
"""
_IMPORT_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", re.ASCII)
_DEADLINE_SECONDS = 120.0
_PLUGIN = "pytest_vcluster.plugin"
_WITHOUT = ("-p", "no:vcluster")
# Given once, pytest tells its version before it loads any plugin.
_VERSIONS = ("--version", "--version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a process took."""

    wall_ms: float
    cpu_ms: float


@contextmanager
def opened_import(ground: Ground) -> Iterator[Once]:
    """Every turn imports the plugin in new processes, and pairs `pytest --version --version` with and without it."""
    directory = _project(ground, "import")
    environment = _environment(directory)

    def once() -> Samples:
        with_plugin, without = _pairs(ground, directory, environment, [*_VERSIONS], [*_VERSIONS, *_WITHOUT])
        imports = [imported_ms(_importtime(directory, environment)) for _ in range(_PAIRS_QUICK)]
        return {names.IMPORT: imports, names.VERSION_COST: [_least(with_plugin).wall_ms - _least(without).wall_ms]}

    yield once


@contextmanager
def opened_unused(ground: Ground) -> Iterator[Once]:
    """Every turn pairs runs of 20 tests that need no cluster, and counts what one of them starts.

    Other plugins stay out, for they may load what this one would otherwise have to.
    """
    directory = _project(ground, "unused")
    environment = {**_environment(directory), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    arguments = ["-q", "-p", "no:cacheprovider", "test_unused.py"]

    def once() -> Samples:
        with_plugin, without = _pairs(ground, directory, environment, [*arguments, "-p", "vcluster"], arguments)
        counts = _audited(ground, directory, environment, [*arguments, "-p", "vcluster"])
        return {
            names.UNUSED_WITH: [spent.wall_ms for spent in with_plugin],
            names.UNUSED_WITHOUT: [spent.wall_ms for spent in without],
            names.UNUSED_COST: [_least(with_plugin).wall_ms - _least(without).wall_ms],
            names.UNUSED_CPU: [_least(with_plugin).cpu_ms - _least(without).cpu_ms],
            names.UNUSED_PROCESSES: [float(counts["processes"])],
            names.UNUSED_THREADS: [float(counts["threads"])],
        }

    yield once


IMPORT = Contender(
    name="import",
    about="import time of the plugin, and what it adds to `pytest -VV`",
    metrics=(Metric(name=names.IMPORT, unit="ms"), Metric(name=names.VERSION_COST, unit="ms")),
    opened=opened_import,
)
UNUSED = Contender(
    name="unused",
    about="20 tests that need no cluster, with and without the plugin",
    metrics=(
        Metric(name=names.UNUSED_WITHOUT, unit="ms"),
        Metric(name=names.UNUSED_WITH, unit="ms", base=names.UNUSED_WITHOUT),
        Metric(name=names.UNUSED_COST, unit="ms"),
        Metric(name=names.UNUSED_CPU, unit="ms"),
        Metric(name=names.UNUSED_PROCESSES, unit=""),
        Metric(name=names.UNUSED_THREADS, unit=""),
    ),
    opened=opened_unused,
)


def imported_ms(report: str) -> float:
    """The sum of all imports after pytest's own, out of what `python -X importtime` prints."""
    lines = _IMPORT_LINE.findall(report)
    start = next((number for number, (_, name) in enumerate(lines) if name == "pytest"), None)
    if start is None or _PLUGIN not in (name for _, name in lines[start:]):
        raise NotMeasured(f"`python -X importtime` does not show the import of {_PLUGIN}")
    end = next(number for number, (_, name) in enumerate(lines) if name == _PLUGIN)
    return sum(int(microseconds) for microseconds, _ in lines[start + 1 : end + 1]) / 1000


def _project(ground: Ground, name: str) -> Path:
    directory = ground.folder(name)
    (directory / "t").mkdir()
    (directory / "pytest.ini").write_text("[pytest]\n")
    (directory / "test_unused.py").write_text(_TESTS)
    return directory


def _environment(directory: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    return {**kept, "TMPDIR": str(directory / "t")}


def _pairs(
    ground: Ground,
    directory: Path,
    environment: Mapping[str, str],
    with_plugin: Sequence[str],
    without: Sequence[str],
) -> tuple[list[Spent], list[Spent]]:
    first: list[Spent] = []
    second: list[Spent] = []
    _pytest(directory, environment, with_plugin)  # writes .pyc files
    for number in range(_PAIRS_QUICK if ground.quick else _PAIRS):
        takes = [(first, with_plugin), (second, without)]
        for spent, arguments in takes if number % 2 else reversed(takes):
            spent.append(_pytest(directory, environment, arguments))
    return first, second


def _least(spent: Sequence[Spent]) -> Spent:
    """The least wall time and the least CPU time, each for itself."""
    return Spent(wall_ms=min(one.wall_ms for one in spent), cpu_ms=min(one.cpu_ms for one in spent))


def _pytest(directory: Path, environment: Mapping[str, str], arguments: Sequence[str]) -> Spent:
    log = directory / "pytest.log"
    argv = [sys.executable, "-m", "pytest", *arguments]
    before = _cpu_seconds()
    began = time.monotonic()
    with running(argv, log=log, env=environment, cwd=directory) as process:
        _check_ended(process, log)
        wall = time.monotonic() - began
    return Spent(wall_ms=1000 * wall, cpu_ms=1000 * (_cpu_seconds() - before))


def _check_ended(process: subprocess.Popen[bytes], log: Path) -> None:
    if not ended(process, within=_DEADLINE_SECONDS):
        raise NotMeasured(f"pytest did not end within {_DEADLINE_SECONDS:.0f} s; its last words:\n{tail(log)}")
    if process.returncode != 0:
        raise NotMeasured(f"pytest ended with {process.returncode}; its last words:\n{tail(log)}")


def _cpu_seconds() -> float:
    """CPU time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _importtime(directory: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import pytest, {_PLUGIN}"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_DEADLINE_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise NotMeasured(f"the plugin can't be imported:\n{done.stderr[-1000:]}")
    return done.stderr


def _audited(
    ground: Ground, directory: Path, environment: Mapping[str, str], arguments: Sequence[str]
) -> Mapping[str, int]:
    """Count threads and processes as Python's own audit events tell, and add what outlives pytest."""
    counted = directory / "counted.json"
    argv = [sys.executable, "-m", "bench.audited", str(counted), *arguments]
    log = directory / "audited.log"
    with_bench = {**environment, "PYTHONPATH": str(ground.repository)}
    with running(argv, log=log, env=with_bench, cwd=directory) as process:
        _check_ended(process, log)
        left = len(processes.of_run(directory / "t")) if processes.is_supported() else 0
    processes.end_all(directory / "t")
    counts: dict[str, int] = json.loads(counted.read_text(encoding="utf-8"))
    return {**counts, "processes": max(counts["processes"], left)}

"""The end of a run, in the process that the user started: what was used, what was kept, and ending the rest.

The one rule: silent when no test asked for a cluster, and the run service is gone when pytest is, unless the user asked
to keep clusters of theirs.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_vcluster.errors import VClusterError
from pytest_vcluster.failures import ATTRIBUTE
from pytest_vcluster.leases import BACKEND
from pytest_vcluster.options import SETTINGS
from pytest_vcluster.report import Row
from pytest_vcluster.workers import is_distributed

if TYPE_CHECKING:
    from pytest_vcluster.service.client import Kept

_MOST_DIFFERENCES = 20
_MOST_REASONS = 3


class Recorder:
    """A plugin of its own: it follows the reports of all tests, wherever they ran, and closes the run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._rows: dict[str, Row] = {}
        self._to_keep = False
        self._kept: Sequence[Kept] = ()
        self._totals: Mapping[str, Any] | None = None
        self._trouble: list[str] = []
        self._open = True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the clusters that a report came with."""
        clusters: Sequence[Mapping[str, Any]] | None = getattr(report, ATTRIBUTE, None)
        if not clusters:
            return
        if report.when == "call" or report.failed:
            self._rows[report.nodeid] = Row(
                test=report.nodeid,
                outcome="error" if report.failed and report.when != "call" else report.outcome,
                seconds=report.duration,
                clusters=tuple(clusters),
            )
        self._to_keep = self._to_keep or any(cluster["kept"] for cluster in clusters)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """End the run service once the last worker is gone; with kept clusters, only ask it how it went."""
        if self._to_keep and exitstatus != pytest.ExitCode.INTERRUPTED:  # who presses Ctrl-C wants nothing to be left
            self._kept = self._ask("kept") or ()
        if self._kept:
            self._totals = self._ask("summary")
        else:
            self._shut_down()
        if self._totals and self._totals.get("differences") and exitstatus == pytest.ExitCode.OK:
            # Nobody's test failed, and yet no result of this run can be trusted.
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell what clusters the run used."""
        settings = self._config.stash[SETTINGS]
        lines = summary_lines(self._totals, self._trouble)
        if settings.report is not None:
            lines.append(self._write_report())
        if self._kept and BACKEND in self._config.stash:
            lines += kept_lines(self._kept, run_id=self._config.stash[BACKEND].run_id)
        if lines:
            terminalreporter.section("vcluster")
            for line in lines:
                terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        """Give kept clusters to the user, and end what is still there."""
        if self._kept and self._open and not self._wait_for_enter():
            self._open = False
            self._ask("detach")
        if self._open:
            self._shut_down()

    def _shut_down(self) -> None:
        self._open = False
        self._totals = self._ask("shut_down")

    def _ask(self, request: str) -> Any:
        """What the backend answers; an error becomes a line of the summary, for the tests are over and done."""
        backend = self._config.stash.get(BACKEND, None)
        if backend is None:
            return None
        try:
            return getattr(backend, request)()
        except (VClusterError, OSError) as error:
            self._trouble.append(f"{type(error).__name__}: {error}")
            return None

    def _write_report(self) -> str:
        from pytest_vcluster.report.page import write_page  # noqa: PLC0415 - only runs with a report need it

        path = self._config.stash[SETTINGS].report
        assert path is not None
        try:
            write_page(path, list(self._rows.values()), self._totals or {})
        except OSError as error:
            return f"no report: {path} can't be written: {error}"
        return f"report: {path}"

    def _wait_for_enter(self) -> bool:
        """Hold the end of the run until the user says so; False where there is nobody at a terminal to say it."""
        if is_distributed(self._config):
            return False
        capture = self._config.pluginmanager.getplugin("capturemanager")
        if capture:
            capture.suspend_global_capture(in_=True)
        try:
            if not (sys.stdin.isatty() and sys.stdout.isatty()):
                return False
            with contextlib.suppress(KeyboardInterrupt, EOFError):
                input("vcluster: press Enter to end the kept clusters. ")
            return True
        finally:
            if capture:
                capture.resume_global_capture()


def summary_lines(totals: Mapping[str, Any] | None, trouble: Sequence[str] = ()) -> list[str]:
    """What a run did with clusters; nothing when it had none."""
    lines: list[str] = []
    if totals and totals.get("leases"):
        versions = ", ".join(totals.get("versions", ()))
        counts = ", ".join(f"{totals.get(kind, 0)} {kind}" for kind in ("fresh", "recycled", "retired"))
        lines.append(f"{totals['leases']} leases on host {totals.get('host', 'embedded')} ({versions}): {counts}")
        lines.append(f"{totals.get('fresh', 0)} clusters in all, at most {totals.get('peak', '?')} at once")
        waits = sorted(totals.get("acquire_seconds", ()))
        if waits:
            lines.append(f"time to a pristine cluster: p50 {spell(median(waits))}, max {spell(waits[-1])}")
        lines += [f"retired {count}: {reason}" for reason, count in _most_common(totals.get("retirements", {}))]
        different = totals.get("differences", ())
        if different:
            lines.append("NOT PRISTINE: recycled clusters differed from fresh ones; please report this:")
            lines += [f"    {line}" for line in different[:_MOST_DIFFERENCES]]
        if totals.get("deaths"):
            lines.append(f"deaths of components: {totals['deaths']}")
        lines += [f"note: {note}" for note in totals.get("notes", ())]
    return lines + list(trouble)


def _most_common(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda pair: -pair[1])[:_MOST_REASONS]


def kept_lines(kept: Sequence[Kept], *, run_id: str) -> list[str]:
    """How to reach the clusters that were kept, and how to end them."""
    lines: list[str] = []
    for cluster in kept:
        lines.append(f"kept {cluster.cluster} ({cluster.version}) of {cluster.holder}:")
        lines.append(f"    export KUBECONFIG={cluster.kubeconfig}")
    return [*lines, f"end them with: pytest-vcluster down {run_id}"]


def median(ordered: Sequence[float]) -> float:
    """The middle of a sorted sequence that is not empty."""
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def spell(seconds: float) -> str:
    """A duration as a person reads it."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"

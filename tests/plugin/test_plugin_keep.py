from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time

import pytest
from plugin_runs import LIGHT, Runs

MIXED = """
    def test_good(vcluster): pass
    def test_bad(vcluster): assert 0
"""


def kept(runs: Runs) -> list[bool]:
    return [line["keep"] for line in runs.world("release")]


def test_by_default_nothing_is_kept(runs: Runs) -> None:
    result = runs.test(MIXED)
    assert kept(runs) == [False, False]
    result.stdout.no_fnmatch_line("*pytest-vcluster down*")


@pytest.mark.parametrize("args", [[], ["-n2"]], ids=["one process", "xdist"])
def test_a_failed_test_keeps_its_cluster(runs: Runs, args: list[str]) -> None:
    result = runs.test(MIXED, "--vcluster-keep=on-failure", *args)
    assert sorted(kept(runs)) == [False, True]
    result.stdout.fnmatch_lines(
        [
            "The cluster is kept until you end it: pytest-vcluster down run-1",
            "kept vc-* (v1.36.4) of test_it.py::test_bad:",
            "    export KUBECONFIG=*kubeconfig",
            "end them with: pytest-vcluster down run-1",
        ]
    )
    assert sorted(close["keep_files"] for close in runs.world("close")) == [False, True]
    assert len(runs.world("detach")) == 1
    assert not runs.world("shut_down")


def test_all_clusters_can_be_kept(runs: Runs) -> None:
    result = runs.test(MIXED, "--vcluster-keep=always")
    assert kept(runs) == [True, True]
    result.stdout.fnmatch_lines(["kept vc-* of test_it.py::test_good:", "kept vc-* of test_it.py::test_bad:"])


def test_a_failure_within_a_factory_keeps_the_cluster(runs: Runs) -> None:
    runs.test(
        """
        def test_a(vcluster_factory):
            with vcluster_factory(): assert 0
        """,
        "--vcluster-keep=on-failure",
    )
    assert kept(runs) == [True]


def test_what_could_not_be_kept_is_not_said_to_be(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_TROUBLE", "keep")
    result = runs.test(MIXED, "--vcluster-keep=always")
    result.stdout.no_fnmatch_line("kept vc-*")
    assert runs.world("shut_down")
    assert not runs.world("detach")


def test_ctrl_c_keeps_nothing(runs: Runs) -> None:
    result = runs.test(
        """
        def test_a(vcluster): assert 0
        def test_b(vcluster): raise KeyboardInterrupt
        """,
        "--vcluster-keep=on-failure",
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert len(runs.world("release")) == 2
    assert runs.world("shut_down")
    assert not runs.world("detach")


def test_at_a_terminal_the_run_ends_with_enter(runs: Runs) -> None:
    runs.pytester.makepyfile(test_it=MIXED)
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "pytest", *LIGHT, "--vcluster-keep=on-failure"]
    with subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, cwd=runs.path) as process:
        os.close(inside)
        try:
            shown = read_until(terminal, "press Enter to end the kept clusters")
            assert "export KUBECONFIG=" in shown
            assert not runs.world("shut_down")
            os.write(terminal, b"\n")
            assert process.wait(timeout=60) == pytest.ExitCode.TESTS_FAILED
        finally:
            process.kill()
            os.close(terminal)
    assert runs.world("shut_down")
    assert not runs.world("detach")


def read_until(terminal: int, text: str, *, seconds: float = 90.0) -> str:
    shown = ""
    deadline = time.monotonic() + seconds
    while text not in shown:
        left = deadline - time.monotonic()
        assert left > 0, f"{text!r} not shown within {seconds} s, but: {shown}"
        if select.select([terminal], [], [], left)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    return shown

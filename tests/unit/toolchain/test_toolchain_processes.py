"""What holds between processes: one builds and the others wait, and nobody leaves anything behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from toolchain_fakes import FakeGo

from pytest_vcluster.errors import ToolchainError
from pytest_vcluster.toolchain import Sources, Wanted, lock, obtain

DEADLINE = 60.0
COMMAND = [sys.executable, "-m", "pytest_vcluster.toolchain"]
SERVER = "kube-apiserver@v1.36.4"


class Run:
    """A toolchain process, whose lines are read as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.documents: list[dict[str, object]] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.documents.append(json.loads(line))

    def says(self, words: str) -> bool:
        return any(words in str(document) for document in list(self.documents))

    def end(self) -> int:
        code = self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        return code


@contextmanager
def started(environ: dict[str, str], *wanted: str, command: list[str] = COMMAND) -> Iterator[Run]:
    with subprocess.Popen(
        [*command, *wanted], env=environ, stdout=subprocess.PIPE, text=True, preexec_fn=as_from_a_terminal
    ) as process:
        run = Run(process)
        try:
            yield run
        finally:
            process.kill()
            run.reader.join(DEADLINE)


def as_from_a_terminal() -> None:
    """Have Ctrl-C do its work; a CI's shell may have told its children to ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def until(happens: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not happens():
        assert time.monotonic() < deadline, f"not within {DEADLINE} s: {what}"
        threading.Event().wait(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if not Path("/proc").exists():
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # it ended between the two looks
        return False


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def building(go: FakeGo) -> int:
    until((go.home / "pid").exists, "the build starts")
    return int((go.home / "pid").read_text())


def test_prints_json_lines_that_end_with_the_binaries(environ: dict[str, str]) -> None:
    with started(environ, SERVER) as run:
        assert run.end() == 0
    assert all(set(document) == {"progress"} for document in run.documents[:-1])
    path = f"{environ['PYTEST_VCLUSTER_CACHE']}/bin/v1.36.4/kube-apiserver"
    assert run.documents[-1] == {
        "binaries": [{"component": "kube-apiserver", "version": "v1.36.4", "path": path, "source": "build"}]
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--offline", "etcd"], "--vcluster-offline"),
        (["kube-proxy@v1.36.4"], "names no binary"),
        (["kubectl@1.20"], "not supported"),
    ],
)
def test_an_error_is_one_json_line_and_exit_code_one(environ: dict[str, str], arguments: list[str], words: str) -> None:
    with started(environ, *arguments) as run:
        assert run.end() == 1
    (document,) = run.documents
    assert words in str(document["error"])


def test_two_processes_that_ask_at_once_build_once_and_the_second_says_whom_it_waits_for(
    environ: dict[str, str], fake_go: FakeGo
) -> None:
    fake_go.switch("wait")
    with started(environ, SERVER) as first:
        building(fake_go)
        with started(environ, SERVER) as second:
            until(lambda: second.says(f"for process {first.process.pid}"), "the second process waits for the first")
            (fake_go.home / "wait").unlink()
            assert (first.end(), second.end()) == (0, 0)
    assert len(fake_go.builds) == 1
    assert first.says("'source': 'build'")
    assert second.says("'source': 'cache'")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_build_leaves_no_process_and_nothing_half_done_and_the_next_try_works(
    how: signal.Signals, environ: dict[str, str], fake_go: FakeGo
) -> None:
    fake_go.switch("wait")
    with started(environ, SERVER) as run:
        go = building(fake_go)
        run.process.send_signal(how)
        assert run.end() != 0
    until(lambda: not alive(go), "the build ends with the process that wanted it")
    cache = Path(environ["PYTEST_VCLUSTER_CACHE"])
    assert not files_in(cache / "bin")

    (fake_go.home / "wait").unlink()
    with started(environ, SERVER) as again:
        assert again.end() == 0
    assert not files_in(cache / "staging")
    assert subprocess.run([cache / "bin/v1.36.4/kube-apiserver"], check=True).returncode == 0


def test_who_waits_for_a_killed_process_takes_over(environ: dict[str, str], fake_go: FakeGo) -> None:
    fake_go.switch("wait")
    with started(environ, SERVER) as first:
        building(fake_go)
        with started(environ, SERVER) as second:
            until(lambda: second.says("waiting"), "the second process waits")
            (fake_go.home / "pid").unlink()
            first.process.kill()
            building(fake_go)
            (fake_go.home / "wait").unlink()
            assert second.end() == 0
    assert second.says("'source': 'build'")


def test_the_process_and_its_build_end_when_their_parent_is_killed(environ: dict[str, str], fake_go: FakeGo) -> None:
    fake_go.switch("wait")
    parent = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *COMMAND]
    with started(environ, SERVER, command=parent) as run:
        go = building(fake_go)
        run.process.kill()
        until(lambda: not alive(go), "the build ends with its grandparent")


def test_a_wait_for_another_process_has_an_end_that_names_it(make_sources: Callable[..., Sources]) -> None:
    sources = make_sources(build_seconds=1.0, report_seconds=0.05)
    lines: list[str] = []
    with (
        lock.held(sources, "x", what="the first", progress=pytest.fail),
        pytest.raises(ToolchainError, match=f"to get the second: process {os.getpid()} .*PYTEST_VCLUSTER_CACHE"),
        lock.held(sources, "x", what="the second", progress=lines.append),
    ):
        pytest.fail("two hold one lock")
    assert len(lines) >= 2


def test_a_long_build_tells_how_far_it_is(
    environ: dict[str, str], fake_go: FakeGo, make_sources: Callable[..., Sources]
) -> None:
    fake_go.switch("wait")
    lines: list[str] = []

    def watch(line: str) -> None:
        lines.append(line)
        if "packages compiled" in line:
            (fake_go.home / "wait").unlink(missing_ok=True)

    obtain([Wanted.parse(SERVER)], make_sources(), progress=watch)
    told = next(line for line in lines if "packages compiled" in line)
    assert "kube-apiserver v1.36.4" in told
    assert "of at most 3" in told
    assert "usually 5 min on 2 cores" in told


def test_a_build_that_takes_too_long_is_ended_and_told(fake_go: FakeGo, make_sources: Callable[..., Sources]) -> None:
    fake_go.switch("wait")
    with pytest.raises(ToolchainError, match="took more than 2 s; its last words: one"):
        obtain([Wanted.parse(SERVER)], make_sources(build_seconds=2.0), progress=lambda line: None)
    go = building(fake_go)
    until(lambda: not alive(go), "the build is ended")

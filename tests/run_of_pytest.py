"""A pytest run of its own, as a user starts it, watched from outside.

Linux only, because it looks into /proc: every process of a run inherits TMPDIR, which is unique to each `Run`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path

from pytest_vcluster.hosts.kind.naming import mark


class Run:
    """A pytest run in a session of its own, whose processes are found by their TMPDIR."""

    def __init__(self, *arguments: str, suite: str, workers: int = 2, environ: Mapping[str, str] = os.environ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="v", dir="/tmp"))
        self.temporary = self.directory / "t"
        self.signs = self.directory / "signs"
        self.temporary.mkdir()
        self.signs.mkdir()
        (self.directory / "test_suite.py").write_text(textwrap.dedent(suite))
        (self.directory / "pytest.ini").write_text("[pytest]\n")
        environment = {**environ, "TMPDIR": str(self.temporary), "SIGNS": str(self.signs)}
        self.output = (self.directory / "output").open("wb")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pytest",
                *(["-n", str(workers)] if workers else []),
                "-p",
                "no:cacheprovider",
                *arguments,
            ],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # A CI's shell may have told its children to ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def pids(self) -> dict[int, str]:
        """Process id -> command line, of every process of the run that is alive."""
        found = {}
        mine = f"TMPDIR={self.temporary}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if mine in (entry / "environ").read_bytes().split(b"\0"):
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def pid_of(self, part: str) -> int:
        """The one process whose command line holds `part`."""
        deadline = time.monotonic() + 20
        # A process that is just being started has the command line of the one that starts it.
        while len(matching := [pid for pid, command in self.pids().items() if part in command]) != 1:
            assert time.monotonic() < deadline, (part, self.pids())
            time.sleep(0.02)
        return matching[0]

    def wait_for_holders(self, count: int = 2, *, seconds: float = 150) -> list[int]:
        """Wait until `count` tests hold their cluster, and return their workers' process ids."""
        deadline = time.monotonic() + seconds
        while len(holding := list(self.signs.glob("holding-*"))) < count:
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.02)
        return [int(path.name.split("-")[2]) for path in holding]

    def go(self) -> None:
        """Let the holding tests go on."""
        (self.signs / "go").touch()

    def finish(self, *, seconds: float = 200) -> str:
        """Wait for pytest's end and return its output."""
        self.process.wait(timeout=seconds)
        return self.text()

    def text(self) -> str:
        """The output so far."""
        return (self.directory / "output").read_text(errors="replace")

    def assert_nothing_left(self, *, within: float = 2.0) -> None:
        """Within `within` seconds from now, no process and no file of the run is left."""
        deadline = time.monotonic() + within
        while True:
            pids, files = self.pids(), self.files()
            if not pids and not files:
                return
            assert time.monotonic() < deadline, f"left: {pids} {files[:10]}\n{self.text()}"
            time.sleep(0.02)

    def files(self) -> list[str]:
        """What lies in the run's TMPDIR, but for pytest's own; files may vanish meanwhile."""
        return [
            str(Path(folder) / name)
            for folder, folders, names in os.walk(self.temporary)
            for name in (*folders, *names)
            if "pytest-of" not in folder + name
        ]

    def kind_containers(self) -> list[str]:
        """Names of the containers of kind clusters that belong to runs with this TMPDIR."""
        base = self.temporary / f"pytest-vcluster-{os.getuid()}"
        command = ["docker", "ps", "--all", f"--filter=volume={mark(base)}", "--format={{.Names}}"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()

    def close(self) -> None:
        """Kill what a failed test left, and remove the directory."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=10)
        self.output.close()
        shutil.rmtree(self.directory, ignore_errors=True)

"""Looking at Docker and at processes from outside of a run, as a user would."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pytest_vcluster.hosts.kind.naming import CLUSTER_LABEL
from pytest_vcluster.settings import Settings
from pytest_vcluster.toolchain import Component, Sources, Wanted, locate

HERE = Path(__file__).parent
GONE_SECONDS = 60.0
LINE_SECONDS = 420.0
"""More than who asks for a host waits for it, whose error tells more."""


def docker(*arguments: str) -> str:
    """What docker prints."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True, timeout=120).stdout


def containers(cluster: str) -> list[str]:
    """Names of all containers of a kind cluster."""
    return docker("ps", "-a", "--filter", f"label={CLUSTER_LABEL}={cluster}", "--format", "{{.Names}}").split()


def remove(cluster: str) -> None:
    """Remove a kind cluster."""
    if names := containers(cluster):
        docker("rm", "-f", "-v", *names)


def kind_binary() -> Path:
    """The kind that runs use; `make kind` has brought it."""
    found = locate(Wanted.known(Component.KIND), Sources.from_environ(os.environ, offline=True))
    assert found is not None, "kind is not here: python -m pytest_vcluster.toolchain kind"
    return found.path


def until(check: Callable[[], object], *, seconds: float, about: Callable[[], object]) -> float:
    """Poll until `check` is true; the seconds that took."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < seconds, f"not within {seconds:.0f} s: {about()}"
        time.sleep(0.1)
    return time.monotonic() - began


class Life:
    """A run with a kind cluster, whose processes are known by their TMPDIR."""

    def __init__(self, temporary: Path, settings: Settings, *, images: str = "") -> None:
        self.temporary = temporary
        temporary.mkdir(exist_ok=True)
        file = temporary / f"settings-{time.monotonic_ns()}.json"
        file.write_text(json.dumps(settings.to_json()))
        self.environ = {
            **os.environ,
            "TMPDIR": str(temporary),
            "PYTHONPATH": str(HERE),
            "ONLY_KIND_IMAGES": images,
            "KUBECONFIG": str(temporary / "the-users-own"),
        }
        self.errors = (temporary / f"{file.stem}.err").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "only_kind.py"), str(file)],
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            bufsize=0,
            # A CI's shell may have told its children to ignore Ctrl-C, and what they start would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        first = self._line()
        self.cluster = settings.reuse or f"pytest-vcluster-{first['run']}"
        self.directory = Path(first["directory"])

    def _line(self) -> dict[str, str]:
        assert self.process.stdout
        heard, _, _ = select.select([self.process.stdout], [], [], LINE_SECONDS)
        assert heard, f"nothing within {LINE_SECONDS:.0f} s; {self.said()}"
        line = self.process.stdout.readline()
        assert line, self.said()
        return dict(json.loads(line))

    def said(self) -> str:
        """What it told of its progress, and of errors."""
        return Path(self.errors.name).read_text()

    def facts(self) -> dict[str, str]:
        """Wait for its cluster, and return what it says of it."""
        return self._line()

    def until_nodes_appear(self) -> None:
        """Wait until the cluster is being made."""

        def appeared() -> bool:
            assert self.process.poll() is None, self.said()
            return bool(containers(self.cluster))

        until(appeared, seconds=120, about=self.said)

    def pids(self, part: str) -> list[int]:
        """Its processes whose command lines hold `part`."""
        mine = f"TMPDIR={self.temporary}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if part in command and mine in (entry / "environ").read_bytes().split(b"\0"):
                        found.append(int(entry.name))
        return found

    def kill(self, *parts: str) -> None:
        """Send SIGKILL to those of its processes whose command lines hold one of `parts`, all at once."""
        pids = [pid for part in parts for pid in self.pids(part)]
        assert len(pids) >= len(parts), parts
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                os.kill(pid, number)

    def assert_gone(self) -> None:
        """Within a minute no container, process or directory of it is left."""
        began = time.monotonic()
        until(lambda: not containers(self.cluster), seconds=GONE_SECONDS, about=lambda: f"{self.cluster} is left")
        left = GONE_SECONDS - (time.monotonic() - began)
        until(lambda: not self.directory.exists(), seconds=left, about=lambda: f"{self.directory} is left")
        until(lambda: not self.pids(""), seconds=left, about=lambda: f"{self.pids('')} are left")

    def close(self) -> None:
        """End what a failed test left of it."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        for pid in self.pids("service/__main__.py"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

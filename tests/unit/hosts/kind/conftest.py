from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from pathlib import Path

import fake_kind
import pytest

from pytest_vcluster.hosts.kind import running
from pytest_vcluster.service import executor
from pytest_vcluster.service.processes import Processes
from pytest_vcluster.settings import Settings


class FakeMachine:
    """A machine with a fake Docker and kind, and runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = folder / "runs"
        self.base.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        source = Path(fake_kind.__file__).read_text()
        for program in ("docker", "kind"):
            (self.bin / program).write_text(f"#!{sys.executable} -IS\n{source}")
            (self.bin / program).chmod(0o755)
        self.state(containers=[], images={}, registry={})
        self.wills = []
        self.said = []
        self.pids = []

    @property
    def environ(self):
        return {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "FAKE_KIND": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "KUBECONFIG": str(self.folder / "the users own"),
        }

    @property
    def world(self):
        return json.loads((self.folder / "world.json").read_text())

    def state(self, **changes):
        """Put some of the world's state in place."""
        path = self.folder / "world.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, **changes}))

    def wish(self, name, text="yes"):
        (self.folder / name).write_text(text)

    def unwish(self, name):
        (self.folder / name).unlink()

    @property
    def containers(self):
        return [each["Name"][1:] for each in self.world["containers"]]

    def calls(self, part=""):
        path = self.folder / "calls"
        return [line for line in path.read_text().splitlines() if part in line] if path.exists() else []

    @contextlib.asynccontextmanager
    async def running(self, settings=None, *, run="1a2b3c4d", generation=1, environ=None):
        """A kind cluster for a run."""
        directory = self.base / run / str(generation)
        directory.mkdir(parents=True)
        starter = Processes(self.base / run / "logs", register=self.pids.append)
        async with running(
            settings or Settings(host="kind", kind_image="kindest/node:v1.36.4"),
            directory=directory,
            starter=starter,
            register=self.pids.append,
            progress=self.said.append,
            will=self.wills.append,
            kind_binary=self.bin / "kind",
            environ=environ or self.environ,
        ) as host:
            yield host

    def carry_out(self):
        """Carry out all last wills, as the reaper does."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FAKE_KIND", str(self.folder))
            return [executor.carry_out(will.to_json(), sleep=lambda _: None) for will in self.wills]


@pytest.fixture
def machine(tmp_path):
    made = FakeMachine(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as api_server:
        made.wish("port", str(api_server.getsockname()[1]))
        yield made

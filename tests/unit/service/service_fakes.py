"""A backplane without Kubernetes, for tests of the run service: its processes are real, but only `sleep`.

The service loads it by name (`service_fakes:opened`); what it should do wrong is in files of the test's folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from pytest_vcluster.controlplane.component import Component, Death, describe_exit
from pytest_vcluster.controlplane.last_will import LastWill
from pytest_vcluster.errors import ProvisionError, ToolchainError
from pytest_vcluster.service.client import LeaseRequest
from pytest_vcluster.service.reaper import started
from pytest_vcluster.service.runs import Run
from pytest_vcluster.settings import DEFAULT_NODES, Settings

SLEEP = Path("/bin/sleep")
VERSION = "v1.36.4"
SETTINGS = Settings(versions=(VERSION,), pool=4)


class FakeCluster:
    def __init__(self, name, version, process, server):
        self.name, self.version, self.process = name, version, process
        self.backend = server.sockets[0].getsockname()[:2]
        self.entrance = self.backend[0]
        self.died, self.deaths = asyncio.Event(), []
        self.on_host = asyncio.Event()
        self.recycles, self.recycles_later = lambda: "this one can't", lambda: False
        self.settles = lambda _about: None
        self.restores = lambda: ""
        self.laid, self.differences, self.checkpoints = False, (), []
        self.spoilt = lambda: ""

    async def settle(self, *, about):
        self.settles(about)
        self.laid = True
        return 8

    async def checkpoint(self):
        self.checkpoints.append(f"checkpoint-{len(self.checkpoints)}")
        return self.checkpoints[-1]

    async def restore(self, checkpoint):
        if checkpoint not in self.checkpoints:
            raise ProvisionError(f"The checkpoint could not be restored: there is no {checkpoint!r}")
        return self.restores()

    async def recycle(self):
        while self.recycles_later():
            await asyncio.sleep(0.005)
        self.checkpoints.clear()
        return self.recycles()

    def facts(self, url):
        if trouble := self.spoilt():
            raise RuntimeError(trouble)
        return {
            "cluster": self.name,
            "version": self.version,
            "url": url,
            "kubeconfig": f"server: {url}\n",
            "revision": 7,
            "logs": {"kube-apiserver": {"path": str(self.process.log), "offset": 0}},
            "host": {"kind": "fake", "namespace": self.name},
            **dict.fromkeys(
                ("certificate_authority", "client_certificate", "client_key", "client_ca_certificate", "client_ca_key"),
                "pem",
            ),
        }


class FakeBackplane:
    def __init__(self, settings, directory, starter, progress):
        self.failed, self.deaths = asyncio.Event(), []
        self.settings, self.directory, self.starter, self.progress = settings, directory, starter, progress
        self.wishes = Path(os.environ["FAKE_WISHES"])
        self.count = 0
        self.baselines = set()

    def wishes_for(self, name):
        path = self.wishes / name
        return path.read_text() if path.exists() else ""

    def note(self, event):
        with (self.wishes / "events").open("a") as file:
            file.write(f"{time.monotonic()} {event}\n")

    async def process(self, name, deaths, died):
        process = await self.starter.start(Component(name=name, binary=SLEEP, arguments=("1000",)))

        def ended(exited):
            status = describe_exit(exited.result())
            deaths.append(Death(component=name, status=status, log=str(process.log), tail="last words"))
            died.set()

        process.exited.add_done_callback(ended)
        return process

    @contextlib.asynccontextmanager
    async def virtual_cluster(self, *, version, nodes, baseline=""):
        self.count += 1
        name = f"vc-{self.directory.parent.name[-3:]}-{self.directory.name}-{self.count}"
        self.note(f"prepare {version}")
        if trouble := self.wishes_for("broken"):
            raise ProvisionError(trouble)
        await asyncio.sleep(float(self.wishes_for("slowness") or 0))
        deaths, died = [], asyncio.Event()
        process = await self.process(f"{name}/kube-apiserver", deaths, died)

        async def echo(reader, writer):
            while data := await reader.read(65536):
                writer.write(data)
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        cluster = FakeCluster(name, version, process, server)
        cluster.deaths, cluster.died = deaths, died
        cluster.on_host.set()
        cluster.laid = baseline in self.baselines
        cluster.settles = lambda about: self.settle(name, baseline, about)
        cluster.spoilt = lambda: self.wishes_for(f"spoilt-{self.directory.name}-{name.rpartition('-')[2]}")
        cluster.restores = lambda: self.wishes_for("restless")
        if self.wishes_for("recycling"):
            cluster.recycles_later = lambda: self.wishes_for("recycling-waits")
            cluster.recycles = lambda: self.note(f"recycle {name}") or self.wishes_for("unrecyclable")
        try:
            yield cluster
        finally:
            server.close()
            process.kill()
            await process.exited

    def settle(self, name, baseline, about):
        self.note(f"settle {name} {about}")
        if trouble := self.wishes_for("unsettled"):
            raise ProvisionError(trouble)
        if not self.wishes_for("unclonable"):
            self.baselines.add(baseline)

    async def host_ready(self):
        self.note("host")
        if trouble := self.wishes_for("no-host"):
            raise ProvisionError(trouble)
        return {"kind": "fake", "version": VERSION, "kubeconfig": "/k", "url": "https://h", "nodes": ["node-1"]}


def will_about(things, **more):
    """What removes all files of a folder."""
    remove = ("/bin/sh", "-c", 'cd "$0" && rm "$@"', str(things))
    return LastWill(find=("/bin/ls", str(things)), remove=remove, **more)


def begin():
    return subprocess.Popen([SLEEP, "998"], start_new_session=True)


@contextlib.asynccontextmanager
async def opened(settings, directory, *, starter, register, progress, will, begun):
    backplane = FakeBackplane(settings, directory, starter, progress)
    if trouble := backplane.wishes_for("no-binaries"):
        progress("building kube-apiserver")
        raise ToolchainError(trouble)
    if backplane.wishes_for("full"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if things := backplane.wishes_for("things"):  # that don't end with processes
        will(will_about(things, answer_seconds=1.0))
        (Path(things) / "thing").touch()
    etcd = await backplane.process("etcd", backplane.deaths, backplane.failed)
    try:
        yield backplane
    finally:
        etcd.kill()
        await etcd.exited


class Machine:
    """Where the runs of one test are: their base directory, and their processes, which all inherit TMPDIR."""

    def __init__(self, folder: Path, monkeypatch):
        self.folder = folder
        self.base = folder / "base"
        monkeypatch.setenv("TMPDIR", str(folder))
        monkeypatch.setenv("FAKE_WISHES", str(folder))
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    def run(self, pid=None) -> Run:
        pid = pid or os.getpid()
        name = os.urandom(4).hex()
        return Run(
            id=name,
            controller_pid=pid,
            controller_started=started(pid),
            directory=self.base / name,
            backplane="service_fakes:opened",
            ahead="",
        )

    def wish(self, name, text):
        (self.folder / name).write_text(str(text))

    def events(self):
        path = self.folder / "events"
        return [line.partition(" ")[2] for line in path.read_text().splitlines()] if path.exists() else []

    def pids(self, part=""):
        """Processes of the machine but for this one and its like: id -> command line."""
        mine = f"TMPDIR={self.folder}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if mine in (entry / "environ").read_bytes().split(b"\0"):
                        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                        if part in command:
                            found[int(entry.name)] = command
        return found

    def kill(self, part):
        """Kill the processes whose log is named like `part`, as soon as there are any."""
        for pid in until(lambda: self._logging_to(part)):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def _logging_to(self, part):
        # A component that was just started is called otherwise for a moment: it is bound to its parent first.
        found = []
        for pid in self.pids("sleep"):
            with contextlib.suppress(OSError):
                if part in Path(f"/proc/{pid}/fd/1").readlink().name:
                    found.append(pid)
        return found

    def service(self):
        """Run services; what one of them has forked bears its command line until it becomes something else."""
        found = self.pids("service/__main__.py ")
        parents = {pid: parent(pid) for pid in found}
        return {pid: found[pid] for pid, it in parents.items() if it is not None and it not in found}

    def left(self):
        """What of any run is left, processes and files."""
        return self.pids(), [path for path, _, _ in os.walk(self.base)]


def parent(pid):
    """The process that `pid` was started by; None if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def until(check, *, seconds=60.0):
    """Poll until `check` returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)
    return found


def request(version=VERSION, *, expected=1, nodes=DEFAULT_NODES, holder="test_x", isolation="recycle", **wish):
    count = {version: expected}
    return LeaseRequest(version=version, isolation=isolation, nodes=nodes, holder=holder, expected=count, **wish)


def talk(gate, data=b"hello"):
    """What comes back through a lease's gate."""
    ip, _, port = gate.partition(":")
    with socket.create_connection((ip, int(port)), timeout=60) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


WORKER = """
import json, os, sys, time
import service_fakes
from pytest_vcluster.service import client
run = client.Run.from_json(json.loads(sys.argv[1]))
wish = service_fakes.request(expected=int(sys.argv[2]))
lease = client.open_lease(run, service_fakes.SETTINGS, wish, timeout=60, on_progress=lambda _: None)
print(json.dumps({"cluster": lease.grant.cluster, "gate": lease.grant.gate}), flush=True)
lease.release(keep=sys.stdin.readline() == "keep\\n")
"""


def worker_command(run, *, expected=1):
    return [sys.executable, "-c", WORKER, json.dumps(run.to_json()), str(expected)]

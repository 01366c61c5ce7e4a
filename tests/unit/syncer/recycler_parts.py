"""A recycler over an etcd in memory, and a real process for it to freeze."""

import asyncio
import contextlib
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from recycle_parts import STATE, FakeBarrier, FakeEtcd, Store
from vcluster_syncer.recycle import recycler, rest
from vcluster_syncer.recycle.barrier import Served
from vcluster_syncer.recycle.recycler import Recycler
from vcluster_syncer.recycle.rest import Work
from vcluster_syncer.recycle.target import Limits, Target

STEPS = ["freeze", "reset", "barrier", "drain", "discovery", "quiet", "verify"]
BRIEF = Limits(
    quiet=0.0, quiet_blindly=0.0, settled=0.0, settling=30.0, answered=30.0, barrier=30.0, drained=30.0, restless=0.0
)
"""Without pauses. What does not come about is waited for as long as ever; tests of that have `IMPATIENT`."""
IMPATIENT = replace(BRIEF, settling=0.05, answered=0.02, drained=0.05)


class Bench:
    """A recycler of a cluster that holds `STATE`. `meanwhile(store, call)` is called before each call to etcd."""

    def __init__(self, *, freeze=(), rest=(), audit=None, limits=BRIEF):
        self.store = Store(STATE)
        self.meanwhile = lambda _store, _call: None
        self.etcd = FakeEtcd(self.store, before=lambda call: self.meanwhile(self.store, call))
        self.barrier = FakeBarrier()
        self.steps = []
        self.on_step = lambda _step: None
        self.left = ""
        """What the host does not let go of."""
        self.drained = []
        self.put_back = []
        self.definitions = []
        self.plain = {}
        self.trouble = {}
        """What is asked of the API server -> the error it ends in."""
        self.recycler = Recycler(
            self.etcd,
            None,
            target=Target(etcd=Path("/etcd"), prefix="/vc/", freeze=tuple(freeze), rest=tuple(rest), audit=audit),
            drained=self._drain,
            limits=limits,
            on_step=self._step,
            plain=self.plain,
        )

    def run(self, coroutine):
        """Run a coroutine while the API server is this bench's."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(recycler, "Barrier", self.barrier)
            patch.setattr(recycler.barrier, "served", self._served)
            patch.setattr(recycler.barrier, "served_completely", self._served_completely)
            # Whether the processes of a busy machine are at rest is another test's business.
            patch.setattr(rest, "work_of", lambda pids, states=True: tuple(Work(0, 0) for _ in pids))
            return asyncio.run(coroutine)

    def recycled(self):
        """What comes of recycling, after the present state was taken for the baseline."""
        return self.run(self.recycler.recycle())

    def captured(self):
        return self.run(self.recycler.capture())

    async def _drain(self, deleted, put, *, timeout):
        self.drained.append(sorted(deleted))
        self.put_back.append(sorted(put))
        return self.left

    def _step(self, step):
        self.steps.append(step)
        self.on_step(step)

    async def _served(self, _client):
        if "served" in self.trouble:
            raise self.trouble["served"]
        return Served(documents={"version": b"v1"})

    async def _served_completely(self, client, definitions, *, timeout):
        self.definitions.append(list(definitions))
        return await self._served(client)


@contextlib.contextmanager
def sleeper():
    """A process that does nothing, and can be frozen."""
    with subprocess.Popen(["/bin/sleep", "1000"]) as process:
        try:
            yield process
        finally:
            process.kill()


def is_frozen(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "T"


def comes_to_be(frozen, pid, *, seconds=30.0):
    """Whether a process comes to stand still or to run: it takes the kernel a moment."""
    deadline = time.monotonic() + seconds
    while is_frozen(pid) is not frozen:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True

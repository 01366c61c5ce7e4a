"""The run service's process: answers workers, owns the backplane and the pool, and ends with the run.

The one rule: everything that was started is inside a context that is left when the service ends; the reaper stands by
in case it does not get that far.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pytest_vcluster.controlplane.component import Death
from pytest_vcluster.errors import VClusterError
from pytest_vcluster.service import capacity, reaper, runs, watchdog
from pytest_vcluster.service.backplane import Backplane, OpenBackplane
from pytest_vcluster.service.pool import Pool, Slot
from pytest_vcluster.service.processes import Processes
from pytest_vcluster.service.protocol import SOCKET, Run
from pytest_vcluster.service.reaper import started_at
from pytest_vcluster.service.session import Session
from pytest_vcluster.service.statistics import Statistics
from pytest_vcluster.settings import Settings

_REAPER = Path(__file__).with_name("reaper.py")


class Ground:
    """An open backplane and the pool on it; when a shared process dies both end, and the next request opens others."""

    def __init__(self, backplane: Backplane, pool: Pool) -> None:
        self.backplane = backplane
        self.pool = pool
        self.over = asyncio.Event()


class Service:
    """One run service."""

    def __init__(self, run: Run, settings: Settings, folder: Path, *, open_backplane: OpenBackplane) -> None:
        self.run = run
        self.settings = settings
        self.folder = folder
        self.ending = asyncio.Event()
        self.detached = False
        self._open_backplane = open_backplane
        self._cores = capacity.usable_cores()
        size = capacity.pool_size(asked=settings.pool, cores=self._cores, free_bytes=capacity.free_bytes())
        self.statistics = Statistics(host=settings.host, versions=list(settings.versions), pool=size.clusters)
        self.statistics.note(size.note)
        self._ground: asyncio.Future[Ground] | None = None
        self._ground_task: asyncio.Task[None] | None = None
        self._sessions: dict[Session, tuple[int, str]] = {}
        self._reaper = self._start_reaper()
        self._listeners: set[Callable[[str], None]] = set()

    async def serve(self) -> None:
        """Answer until the run ends, then leave nothing."""
        server = await asyncio.start_unix_server(self._connected, str(self.folder / SOCKET), limit=1 << 22)
        controller = asyncio.create_task(self._follow_controller())
        self._promised_ground()  # whoever had the service started is about to ask for it
        try:
            await self.ending.wait()
        finally:
            server.close()
            controller.cancel()
            await self._end_ground()
            reaper.remove(self.folder)

    async def ground(self, progress: Callable[[str], None]) -> Ground:
        """The backplane and pool, opened if need be; `progress` hears what that is busy with."""
        self._listeners.add(progress)
        try:
            return await asyncio.shield(self._promised_ground())
        finally:
            self._listeners.discard(progress)

    def _promised_ground(self) -> asyncio.Future[Ground]:
        if self._ground is None:
            self._ground = asyncio.get_running_loop().create_future()
            self._ground_task = asyncio.create_task(self._keep_ground(self._ground))
        return self._ground

    @property
    def pool(self) -> Pool | None:
        """The pool, if there is one at the moment."""
        if self._ground is None or not self._ground.done() or self._ground.exception() is not None:
            return None
        return self._ground.result().pool

    def summary(self) -> Mapping[str, object]:
        """What the service has done so far."""
        kept = self.pool.kept if self.pool else ()
        return {
            **self.statistics.to_json(),
            "kept": [
                {"cluster": slot.cluster.name, "version": slot.cluster.version, "kubeconfig": slot.kubeconfig}
                for slot in kept
                if slot.cluster
            ],
        }

    def write_kubeconfig(self, slot: Slot, text: str) -> str:
        """Write the kubeconfig of a cluster that is kept, for this user only; returns its path."""
        assert slot.cluster is not None
        path = self.folder / f"{slot.cluster.name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(text)
        return str(path)

    def kept_ended(self) -> None:
        """End the service when it only lived on for clusters that were kept, and the last of them has ended."""
        if self.detached and not (self.pool and self.pool.kept):
            self.ending.set()

    def register(self, pid: int) -> None:
        """Write a process down for the reaper, and for whoever sweeps if that one is killed too."""
        line = f"{pid} {started_at(pid)}\n"
        with (self.folder / runs.PROCESSES).open("a") as record:
            record.write(line)
        if self._reaper.poll() is not None:
            self._reaper = self._start_reaper()
        assert self._reaper.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._reaper.stdin.write(line.encode())
            self._reaper.stdin.flush()

    def progress(self, text: str) -> None:
        """Tell everybody who waits what the service is busy with."""
        for listener in list(self._listeners):
            listener(text)

    def listen(self, listener: Callable[[str], None]) -> contextlib.AbstractContextManager[None]:
        """Have `listener` hear of progress while the context lasts."""

        @contextlib.contextmanager
        def listening() -> Iterator[None]:
            self._listeners.add(listener)
            try:
                yield
            finally:
                self._listeners.discard(listener)

        return listening()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self, reader, writer)
        pid = watchdog.peer_pid(writer.get_extra_info("socket"))
        if pid is not None and pid not in (os.getpid(), self.run.controller_pid):
            self._sessions[session] = (pid, started_at(pid))
        try:
            await session.run()
        finally:
            self._sessions.pop(session, None)

    async def _keep_ground(self, promise: asyncio.Future[Ground]) -> None:
        processes = Processes(self.folder / "logs", register=self.register)
        try:
            async with self._open_backplane(
                self.settings, self.folder, starter=processes, register=self.register, progress=self.progress
            ) as backplane:
                pool = Pool(
                    backplane,
                    capacity=self.statistics.pool,
                    starts_at_once=capacity.starts_at_once(self._cores),
                    statistics=self.statistics,
                )
                ground = Ground(backplane, pool)
                promise.set_result(ground)
                failed = asyncio.create_task(backplane.failed.wait())
                over = asyncio.create_task(ground.over.wait())
                try:
                    await asyncio.wait((failed, over), return_when=asyncio.FIRST_COMPLETED)
                    if backplane.failed.is_set():
                        self._ground = None  # the next request gets another
                        self._mourn(pool, list(backplane.deaths))
                finally:
                    failed.cancel()
                    over.cancel()
                    await pool.close()
        except (VClusterError, OSError) as error:
            if not promise.done():
                self._ground = None
                promise.set_exception(error)
                promise.exception()  # whoever waits gets it

    def _mourn(self, pool: Pool, deaths: list[Death]) -> None:
        self.statistics.deaths += len(deaths)
        for death in deaths:
            self.statistics.note(f"{death.component} {death.status}; everything was started anew")
        pool.fail(deaths)

    async def _end_ground(self) -> None:
        if self._ground_task is None:
            return
        if self._ground is not None and self._ground.done() and self._ground.exception() is None:
            self._ground.result().over.set()
        else:
            self._ground_task.cancel()
        await asyncio.gather(self._ground_task, return_exceptions=True)

    async def _follow_controller(self) -> None:
        await watchdog.ended(self.run.controller_pid)
        if self.detached and self.pool is not None and self.pool.kept:
            return
        orphans = asyncio.create_task(watchdog.end_orphans(set(self._sessions.values())))
        self.ending.set()
        await asyncio.shield(orphans)

    def _start_reaper(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_REAPER), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdin is not None
        with contextlib.suppress(FileNotFoundError):
            process.stdin.write((self.folder / runs.PROCESSES).read_bytes())
            process.stdin.flush()
        return process

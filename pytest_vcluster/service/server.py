"""The run service's process: who connects, when it ends, and that nothing is left then.

The one rule: it lives as long as the run. It ends when it is told to, when the process that the user started is gone
(then with everything, the run's workers included), or when it has lost its reaper for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from pytest_vcluster.errors import HostError, VClusterError
from pytest_vcluster.service import capacity, runs
from pytest_vcluster.service.ahead import Begun
from pytest_vcluster.service.backplane import Backplane, OpenBackplane
from pytest_vcluster.service.clusters import Clusters
from pytest_vcluster.service.connection import LONGEST_LINE, Connection
from pytest_vcluster.service.kept import KeptClusters
from pytest_vcluster.service.leases import LeaseDesk
from pytest_vcluster.service.lock import RunLock
from pytest_vcluster.service.pool import Pool
from pytest_vcluster.service.processes import Processes
from pytest_vcluster.service.protocol import (
    Describe,
    DescribeHost,
    EndKept,
    Failed,
    HostFacts,
    LiveOn,
    Message,
    OpenLease,
    Progress,
    ShutDown,
    Status,
    Summarize,
    Summary,
)
from pytest_vcluster.service.reaper import started
from pytest_vcluster.service.roster import Roster
from pytest_vcluster.service.runs import Run
from pytest_vcluster.service.seats import Key
from pytest_vcluster.service.shared import Shared
from pytest_vcluster.service.statistics import Statistics
from pytest_vcluster.service.watch import watch
from pytest_vcluster.service.wire_errors import describe_error
from pytest_vcluster.settings import Settings

_log = logging.getLogger(__name__)
_UNWINDING_SECONDS = 0.5
_UNWINDING_ELSEWHERE_SECONDS = 20.0
"""Where clusters are not processes of ours, whoever hosts them has to be told, and may be slow."""
_GRACE_SECONDS = 0.7
_POLL_SECONDS = 0.01


class Service:
    """Everything of one run."""

    def __init__(
        self,
        run: Run,
        settings: Settings,
        lock: RunLock,
        open_backplane: OpenBackplane,
        begun: Begun | None = None,
    ) -> None:
        self._run = run
        self._begun = begun
        self._settings = settings
        self._open_backplane = open_backplane
        self._over = asyncio.Event()
        self._controller_gone = False
        self._lives_on = False
        self._generation = 0
        self._workers: dict[int, str] = {}
        self._dismissed: list[Connection] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._roster = Roster(run.directory, lock, lost=self._over.set)
        self._logs = run.directory / "logs"
        self._starter = Processes(self._logs, register=self._roster.register)
        limits, notes = capacity.pool_limits(cores=capacity.cores(), memory=capacity.memory(), asked=settings.pool)
        self._statistics = Statistics(host=settings.host, pool=limits.size, notes=notes)
        self._clusters = Clusters(
            Pool(limits, default_nodes=Key.of("", settings.nodes).nodes),
            share=self._share,
            statistics=self._statistics,
            forget=self._forget,
            recycling=settings.isolation != "fresh",
        )
        self._kept = KeptClusters(self._clusters, self._statistics, directory=run.directory, memory=capacity.memory)
        self._desk = LeaseDesk(self._clusters, self._statistics, keep=self._kept.keep)

    async def run(self) -> None:
        """Serve until the run is over; what is left then the reaper ends."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._over.set)
        self._roster.start()
        if self._begun is not None:
            self._roster.register(self._begun.pid)
        stop_watching = watch(self._run.controller_pid, self._run.controller_started, self._controller_ended)
        server = await asyncio.start_unix_server(self._enter, self._run.socket, limit=LONGEST_LINE)
        sweeping = asyncio.ensure_future(asyncio.to_thread(self._sweep))
        await self._over.wait()
        stop_watching()
        server.close()
        with contextlib.suppress(OSError):
            self._run.socket.unlink()
        await self._end()
        sweeping.cancel()

    def _sweep(self) -> None:
        base = self._run.directory.parent
        runs.sweep(base)
        if self._settings.host == "kind":
            from pytest_vcluster.service.strays import sweep_clusters  # noqa: PLC0415 - not on the embedded host

            try:
                sweep_clusters(base)
            except HostError as error:  # the host that is being opened says the same, to whoever waits for it
                _log.warning("clusters of dead runs were not looked for: %s", error)

    async def _end(self) -> None:
        began = time.monotonic()
        if self._controller_gone:
            self._signal_workers(signal.SIGTERM)
        unwinding = asyncio.ensure_future(self._clusters.close())
        await asyncio.sleep(0)  # whoever sees its processes die from here on knows that this is the end
        self._roster.kill()
        here = self._settings.host == "embedded"
        await asyncio.wait((unwinding,), timeout=_UNWINDING_SECONDS if here else _UNWINDING_ELSEWHERE_SECONDS)
        for connection in self._dismissed:
            connection.send(Summary(totals=self._statistics.summary()))
            await connection.close()
        if self._controller_gone:
            while self._alive_workers() and time.monotonic() - began < _GRACE_SECONDS:  # noqa: ASYNC110 - no event
                await asyncio.sleep(_POLL_SECONDS)
            self._signal_workers(signal.SIGKILL)

    def _controller_ended(self) -> None:
        self._controller_gone = True
        if not (self._lives_on and self._kept.all()):
            self._over.set()

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(Connection(reader, writer)))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, connection: Connection) -> None:
        try:
            message = await connection.receive()
            while message is not None:
                if isinstance(message, OpenLease):
                    self._workers[connection.pid] = connection.started
                    await self._desk.serve(connection, message)
                    break
                if isinstance(message, ShutDown):
                    self._dismissed.append(connection)
                    self._over.set()
                    return
                await self._answer(connection, message)
                message = await connection.receive()
        except Exception as error:
            _log.exception("a request failed")
            connection.send(Failed(error=describe_error(error)))
        await connection.close()

    async def _answer(self, connection: Connection, message: Message) -> None:
        if isinstance(message, DescribeHost):
            self._workers[connection.pid] = connection.started
            try:
                facts = await self._clusters.host(
                    tell=lambda text, quiet: connection.send(Progress(text=text, quiet=quiet))
                )
            except VClusterError as error:
                connection.send(Failed(error=describe_error(error)))
            else:
                connection.send(HostFacts(facts=facts))
        elif isinstance(message, Summarize):
            connection.send(Summary(totals=self._statistics.summary()))
        elif isinstance(message, LiveOn):
            self._lives_on = True
            self._clusters.stop_preparing()
            connection.send(self._status())
            self._leave_if_pointless()
        elif isinstance(message, EndKept):
            self._kept.end(message.cluster)
            connection.send(self._status())
            self._leave_if_pointless()
        elif isinstance(message, Describe):
            connection.send(self._status())

    def _leave_if_pointless(self) -> None:
        # Who lives on for kept clusters has nothing left to live for without them.
        if self._lives_on and not self._kept.all():
            self._over.set()

    def _status(self) -> Status:
        return Status(
            pid=os.getpid(),
            controller_pid=self._run.controller_pid,
            lives_on=self._lives_on,
            clusters=self._clusters.describe(),
            kept=self._kept.all(),
        )

    def _share(self, tell: Callable[[str], None]) -> Shared:
        self._generation += 1
        return Shared(lambda: self._opening(self._run.directory / str(self._generation), tell))

    @contextlib.asynccontextmanager
    async def _opening(self, directory: Path, tell: Callable[[str], None]) -> AsyncIterator[Backplane]:
        await asyncio.to_thread(directory.mkdir, mode=0o700)
        try:
            async with self._open_backplane(
                self._settings,
                directory,
                starter=self._starter,
                register=self._roster.register,
                progress=tell,
                will=self._roster.will,
                begun=self._begun,
            ) as backplane:
                yield backplane
        finally:
            if not self._over.is_set():  # in the end everything is removed at once
                await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    def _forget(self, cluster: str) -> None:
        for log in self._logs.glob(f"{cluster}_*.log"):
            with contextlib.suppress(OSError):
                log.unlink()
        self._leave_if_pointless()

    def _alive_workers(self) -> list[int]:
        ours = {os.getpid(), self._run.controller_pid, 0}
        return [pid for pid, when in self._workers.items() if pid not in ours and when and started(pid) == when]

    def _signal_workers(self, number: signal.Signals) -> None:
        for pid in self._alive_workers():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

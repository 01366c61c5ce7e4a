"""Starting the components of a run, and learning at once when one of them ends.

The one rule: whatever is started here dies with this process. Three nets hold it: a death signal from the kernel
(Linux), the reaper that is told of every process group, and `kill` in the owner's context manager.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from pytest_vcluster.controlplane.component import Component, RunningComponent
from pytest_vcluster.errors import ProvisionError
from pytest_vcluster.service import bound

# A component sees these of our environment and no other: no proxies, no kubeconfig, nothing of the user's.
_INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "TZ")


class Process:
    """A component that was started; satisfies `RunningComponent`."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.pid = popen.pid
        self.log = log
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._popen = popen

    def kill(self) -> None:
        """Send SIGKILL to the process and everything it started; harmless if it ended already."""
        if self._popen.returncode is None:
            try:
                os.killpg(self.pid, 9)  # it leads a session, so its id is its group's
            except ProcessLookupError:
                return

    def _ended(self) -> None:
        code = self._popen.wait()
        if not self.exited.done():
            self.exited.set_result(code)


class Processes:
    """Starts components with one log each below `directory`; `register` hears of every process id (for the reaper)."""

    def __init__(
        self, directory: Path, *, register: Callable[[int], None], environ: Mapping[str, str] = os.environ
    ) -> None:
        self._directory = directory
        self._register = register
        self._environment = {name: environ[name] for name in _INHERITED if name in environ}

    async def start(self, component: Component) -> RunningComponent:
        """Start `component` and return at once; ProvisionError if the program can't be executed."""
        if not os.access(component.binary, os.X_OK):
            raise ProvisionError(
                f"{component.name}: {component.binary} is not an executable file.\n"
                "Run `pytest-vcluster doctor` to see where each binary comes from."
            )
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = self._directory / f"{re.sub(r'[^A-Za-z0-9.-]+', '_', component.name)}.log"
        with log.open("ab") as output:
            popen = subprocess.Popen(  # noqa: ASYNC220 - returns after a vfork; the exec happens in the child
                [*self._bound, str(component.binary), *component.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self._environment, **component.environment},
                cwd=self._directory,
                start_new_session=True,
            )
        self._register(popen.pid)
        process = Process(component.name, popen, log)
        _watch(popen.pid, process._ended)
        return process

    @cached_property
    def _bound(self) -> list[str]:
        return bound.words(os.getpid(), setpriv=bound.find_setpriv())


def _watch(pid: int, ended: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    if hasattr(os, "pidfd_open"):
        descriptor = os.pidfd_open(pid)

        def readable() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            ended()

        loop.add_reader(descriptor, readable)
        return

    async def waited() -> None:
        # Without reaping (WNOWAIT), so that the owner's wait() still gets the status.
        await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        ended()

    task = loop.create_task(waited())
    task.add_done_callback(lambda done: done.exception())  # keeps a reference until then, and lets no error go unread

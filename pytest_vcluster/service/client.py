"""The worker's side of the run service: leases, questions, and the end of the run. Synchronous, standard library only.

The one rule: nothing is held here that the service would miss. A lease is a connection; when this process dies, the
kernel closes it, and the service takes the cluster back.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_vcluster.controlplane.component import Death
from pytest_vcluster.errors import LeaseLost, ProvisionError, Timeout, VClusterError
from pytest_vcluster.service import election, runs
from pytest_vcluster.service.protocol import SOCKET, Grant, LeaseRequest, LogRef, Run, decode, encode, raised
from pytest_vcluster.settings import Settings

__all__ = [
    "Death",
    "Grant",
    "Lease",
    "LeaseRequest",
    "LogRef",
    "Run",
    "alive_runs",
    "end_kept",
    "host_info",
    "keep",
    "open_lease",
    "running",
    "shut_down",
    "summary",
]

_ANSWER_SECONDS = 10.0
# Building binaries is the one thing that takes minutes; as long as progress comes in, nobody is stuck.
_SILENCE_SECONDS = 120.0


class Connection:
    """One connection to a run service: requests out, events in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_ANSWER_SECONDS)
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._received = b""

    def send(self, op: str, **fields: object) -> None:
        """Send one request."""
        self._socket.sendall(encode({"op": op, "pid": os.getpid(), **fields}))

    def receive(self, *, timeout: float) -> dict[str, Any]:
        """Wait for one event; EOFError when the service has gone, TimeoutError after `timeout` seconds."""
        self._socket.settimeout(timeout)
        while b"\n" not in self._received:
            try:
                more = self._socket.recv(65536)
            except ConnectionError:
                more = b""
            if not more:
                raise EOFError(f"the run service at {self.path} closed the connection")
            self._received += more
        line, _, self._received = self._received.partition(b"\n")
        return decode(line)

    def ask(self, op: str, *, timeout: float = _ANSWER_SECONDS, **fields: object) -> dict[str, Any]:
        """Send one request and return the `answer` to it, passing over what else comes in between."""
        self.send(op, **fields)
        deadline = time.monotonic() + timeout
        while True:
            event = self.receive(timeout=max(0.01, deadline - time.monotonic()))
            if event["event"] == "error":
                raise raised(event)
            if event["event"] == "answer":
                return event

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Lease:
    """A cluster that is this process's alone until `release`."""

    def __init__(self, connection: Connection, grant: Grant) -> None:
        self.grant = grant
        self.directory = connection.path.parent
        self._connection: Connection | None = connection
        self._deaths: list[Death] = []

    def deaths(self) -> list[Death]:
        """Which components of the cluster have ended since the lease began; asks the service, which takes 1 ms."""
        if self._connection is not None:
            try:
                self._take(self._connection.ask("deaths"))
            except (EOFError, OSError) as error:
                self._lost(error)
        return list(self._deaths)

    def release(self, *, keep: bool = False) -> None:
        """Give the cluster back; with `keep` it goes on for a person to look at. Harmless when called again."""
        if self._connection is None:
            return
        try:
            self._take(self._connection.ask("release", keep=keep))
        except (EOFError, OSError) as error:
            self._lost(error)
        else:
            self._connection.close()
            self._connection = None

    def _take(self, answer: Mapping[str, Any]) -> None:
        self._deaths = [Death(**death) for death in answer["deaths"]]

    def _lost(self, error: BaseException) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        status = f"ended while the test held its cluster ({str(error) or type(error).__name__})"
        self._deaths.append(Death(component="run service", status=status, log="", tail=""))


def open_lease(
    run: Run,
    settings: Settings,
    request: LeaseRequest,
    *,
    timeout: float,
    on_progress: Callable[[str], None],
    meanwhile: Callable[[], object] = lambda: None,
) -> Lease:
    """Get a cluster nobody else has; starts the run service when there is none.

    `meanwhile` is called once while the service works. `timeout` (seconds) starts anew whenever progress is told, for a
    build of binaries takes what it takes. Raises what went wrong on the other side as the same class of error, and
    Timeout when nothing more is heard.
    """
    connection = _connect(run, settings)
    try:
        connection.send("lease", request=request.to_json())
        meanwhile()
        event = _outcome(connection, "A cluster for the test", timeout=timeout, on_progress=on_progress)
        return Lease(connection, Grant.from_json(event["grant"]))
    except BaseException:
        connection.close()
        raise


def host_info(
    run: Run, settings: Settings, *, timeout: float, on_progress: Callable[[str], None]
) -> Mapping[str, object]:
    """Describe the run's host cluster (kind, version, kubeconfig, url, nodes), starting it if need be."""
    connection = _connect(run, settings)
    try:
        connection.send("host")
        answer = _outcome(connection, "The host cluster", timeout=timeout, on_progress=on_progress)
        host: Mapping[str, object] = answer["host"]
        return host
    finally:
        connection.close()


def running(run: Run) -> bool:
    """Tell whether the run has a service that is alive."""
    return any(runs.is_alive(folder) for folder in runs.incarnations(run.directory))


def summary(run: Run) -> Mapping[str, object] | None:
    """What the run's service has done so far; None if there is none."""
    with _existing(run) as connection:
        return connection.ask("summary")["summary"] if connection else None


def keep(run: Run) -> None:
    """Have the service live on, after this run has ended, for the clusters that were kept."""
    with _existing(run) as connection:
        if connection:
            connection.ask("detach")


def shut_down(run: Run, *, timeout: float) -> Mapping[str, object] | None:
    """End the run's service; returns its last summary when neither a process nor a file of it is left.

    Raises Timeout if that takes longer than `timeout` seconds.
    """
    last: Mapping[str, object] | None = None
    with _existing(run) as connection:
        if connection:
            last = connection.ask("shutdown", timeout=timeout)["summary"]
    began = time.monotonic()
    while run.directory.exists():
        if time.monotonic() - began > timeout:
            left = ", ".join(str(path) for path in sorted(run.directory.rglob("*"))[:5])
            raise Timeout("The end of the run service", elapsed=timeout, last_seen=f"still there: {left}")
        if not any(folder.exists() for folder in runs.incarnations(run.directory)):
            with contextlib.suppress(OSError):
                run.directory.rmdir()
        time.sleep(0.005)
    return last


def alive_runs() -> list[Mapping[str, Any]]:
    """Every live run service of this user with its summary, for people."""
    found: list[Mapping[str, Any]] = []
    for path in runs.sockets():
        with contextlib.suppress(OSError, EOFError, VClusterError):
            connection = Connection(path)
            try:
                answer = connection.ask("summary")
            finally:
                connection.close()
            found.append({"run": path.parent.parent.name, "socket": str(path), **answer["summary"]})
    return found


def end_kept(name: str) -> list[str]:
    """End the kept cluster `name`, or all that were kept of the run `name`; returns the names of those ended."""
    ended: list[str] = []
    for path in runs.sockets():
        with contextlib.suppress(OSError, EOFError, VClusterError):
            connection = Connection(path)
            try:
                wanted = None if path.parent.parent.name == name else name
                ended += connection.ask("end", cluster=wanted)["ended"]
            finally:
                connection.close()
    return ended


def _connect(run: Run, settings: Settings) -> Connection:
    return Connection(election.find_or_start(run, settings))


@contextlib.contextmanager
def _existing(run: Run) -> Iterator[Connection | None]:
    connection: Connection | None = None
    for folder in runs.incarnations(run.directory):
        if runs.is_alive(folder):
            with contextlib.suppress(OSError):
                connection = Connection(folder / SOCKET)
                break
    try:
        yield connection
    except (EOFError, OSError) as error:
        raise LeaseLost(f"The run service of {run.directory} ended while it was asked: {error}.") from error
    finally:
        if connection is not None:
            connection.close()


def _outcome(
    connection: Connection, step: str, *, timeout: float, on_progress: Callable[[str], None]
) -> dict[str, Any]:
    last_seen = "no word from the run service"
    # Twice: whatever the service waits for has this timeout itself, and its error tells more than ours.
    patience = min(max(2 * timeout, 10.0), _SILENCE_SECONDS + timeout)
    while True:
        try:
            event = connection.receive(timeout=patience)
        except TimeoutError as error:
            raise Timeout(step, elapsed=patience, last_seen=last_seen) from error
        except EOFError as error:
            raise ProvisionError(
                f"{step}: the run service ended meanwhile.\nLast seen: {last_seen}\n"
                "Somebody killed it, or the machine ran out of memory; `pytest-vcluster doctor` tells what there is."
            ) from error
        if event["event"] == "progress":
            last_seen = event["text"]
            on_progress(last_seen)
        elif event["event"] == "error":
            raise raised(event)
        else:
            return event

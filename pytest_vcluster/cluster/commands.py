"""Commands in containers.

The one rule: a command that was begun ends: with its exit code, at its deadline, or with the cluster.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_vcluster.cluster import pods
from pytest_vcluster.controlplane import streams
from pytest_vcluster.errors import ApiError, CommandError, NotAvailableOnHost, Timeout

if TYPE_CHECKING:
    from pytest_vcluster.cluster.api import Api
    from pytest_vcluster.cluster.objects import Object

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _STATUS = range(4)
_LOOK_SECONDS = 1.0
# kwok tells of an exit code in words only: https://github.com/kubernetes-sigs/kwok, pkg/utils/exec.
_TOLD = re.compile(r"\bexit status (\d+)\s*$")
_NO_COMMANDS = "no exec found for container"
_REMEDY = "Raise the call's timeout= if the command takes its time."
_REMEDY_WITH_INPUT = f"{_REMEDY} On simulated nodes a command never sees its standard input end: have it read by lines."


@dataclass(slots=True)
class _Seen:
    """What came of a command so far."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    status: dict[str, Any] | None = None


def run(
    api: Api,
    pod: Object,
    command: Sequence[str],
    *,
    container: str | None,
    input: str | bytes | None,  # noqa: A002 - as in subprocess
    check: bool,
    timeout: float,
) -> str:
    """Run a command and return its standard output; raises CommandError, ApiError and Timeout."""
    began = time.monotonic()
    given = input.encode() if isinstance(input, str) else input
    seen = _Seen()
    path = pods.path_of(pod, "exec")
    query = [("container", container)] if container else []
    query += [*(("command", word) for word in command), ("stdout", "true"), ("stderr", "true")]
    if given is not None:
        query.append(("stdin", "true"))

    async def work() -> None:
        async with streams.opened(api.rest, path, query=query, protocols=_PROTOCOLS) as stream:
            writing = asyncio.create_task(_write(stream, given))
            try:
                await _read(stream, seen)
            finally:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)

    _wait(work, api.check, command=command, seen=seen, began=began, timeout=timeout, with_input=given is not None)
    stdout, stderr = (part.decode(errors="replace") for part in (seen.stdout, seen.stderr))
    code = _exit_code(seen.status, path=path)
    if check and code != 0:
        raise CommandError(tuple(command), returncode=code, stdout=stdout, stderr=stderr)
    return stdout


def _wait(
    work: Callable[[], Any],
    look: Callable[[], None],
    *,
    command: Sequence[str],
    seen: _Seen,
    began: float,
    timeout: float,
    with_input: bool,
) -> None:
    result, cancel = streams.in_thread(work, name="exec")
    try:
        while True:
            try:
                result.result(timeout=max(0.0, min(_LOOK_SECONDS, began + timeout - time.monotonic())))
            except NotYet:
                look()
                if (elapsed := time.monotonic() - began) >= timeout:
                    printed = bytes(seen.stdout + seen.stderr).decode(errors="replace").strip()
                    raise Timeout(
                        f"The command {' '.join(command)}",
                        elapsed=elapsed,
                        last_seen=printed[-2000:] or "it printed nothing",
                        remedy=_REMEDY_WITH_INPUT if with_input else _REMEDY,
                    ) from None
            else:
                return
    finally:
        cancel()


async def _write(stream: streams.Stream, data: bytes | None) -> None:
    if data is not None:
        await stream.send(_STDIN, data)
        await stream.end(_STDIN)


async def _read(stream: streams.Stream, seen: _Seen) -> None:
    while (message := await stream.receive()) is not None:
        channel, data = message
        if channel == _STDOUT:
            seen.stdout += data
        elif channel == _STDERR:
            seen.stderr += data
        elif channel == _STATUS and data:
            seen.status = json.loads(data)
            return


def _exit_code(status: dict[str, Any] | None, *, path: str) -> int:
    if status is None:
        raise ApiError("the stream ended before the command did", status=101, method="GET", path=path)
    if status.get("status") == "Success":
        return 0
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    message = str(status.get("message", ""))
    if told := _TOLD.search(message):
        return int(told[1])
    if _NO_COMMANDS in message:
        raise NotAvailableOnHost.for_commands()
    raise ApiError(message, status=int(status.get("code") or 500), reason=str(status.get("reason", "")), path=path)

"""Local ports that lead into pods.

The one rule: whoever gets a port gets one that answers: the pod's end was tried before, and is tried again until it
takes connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import TYPE_CHECKING

from pytest_vcluster.cluster import pods
from pytest_vcluster.controlplane import streams
from pytest_vcluster.controlplane.port_forward import DATA, ERROR, PROTOCOLS, carry
from pytest_vcluster.errors import Timeout

if TYPE_CHECKING:
    from pytest_vcluster.cluster.api import Api
    from pytest_vcluster.cluster.objects import Object
    from pytest_vcluster.cluster.rest import Rest

_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 0.1
# What a kubelet that can't connect takes to say so, on a busy machine. There is no word for being connected.
_REFUSED_SECONDS = 0.25


@contextlib.contextmanager
def forwarded(api: Api, pod: Object, port: int, *, timeout: float) -> Iterator[int]:
    """A port of 127.0.0.1 that leads to the pod's, for as long as the context lasts. Raises Timeout and ApiError."""
    path, began = pods.path_of(pod, "portforward"), time.monotonic()
    listening: Future[int] = Future()
    refusals = ["nothing was tried yet"]

    async def work() -> None:
        await _answering(api.rest, path, port, refusals)
        server = await asyncio.start_server(lambda *ends: carry(api.rest, path, port, *ends), "127.0.0.1", 0)
        async with server:
            listening.set_result(server.sockets[0].getsockname()[1])
            await asyncio.Event().wait()

    ended, cancel = streams.in_thread(work, name="port-forward")
    ended.add_done_callback(lambda done: _pass_on(done, listening))
    try:
        yield _wait(listening, api.check, refusals, step=f"Port {port} of {path}", began=began, timeout=timeout)
    finally:
        cancel()


def _pass_on(done: Future[None], listening: Future[int]) -> None:
    if not listening.done():
        error = None if done.cancelled() else done.exception()
        listening.set_exception(error or RuntimeError("it ended before it began"))


def _wait(
    listening: Future[int], look: Callable[[], None], refusals: list[str], *, step: str, began: float, timeout: float
) -> int:
    while True:
        try:
            return listening.result(timeout=_LOOK_SECONDS)
        except NotYet:
            look()
            if (elapsed := time.monotonic() - began) >= timeout:
                raise Timeout(f"{step} answering", elapsed=elapsed, last_seen=refusals[-1]) from None


async def _answering(rest: Rest, path: str, port: int, refusals: list[str]) -> None:
    """Return when a connection to the pod's port is not refused."""
    while refusal := await _refusal(rest, path, port):
        refusals[:] = [refusal]
        await asyncio.sleep(_PAUSE_SECONDS)


async def _refusal(rest: Rest, path: str, port: int) -> str:
    """Why a connection to the pod's port can't be had; empty if it can."""
    async with streams.opened(rest, path, query=[("ports", str(port))], protocols=PROTOCOLS) as stream:
        greeted: set[int] = set()
        try:
            async with asyncio.timeout(None) as limit:
                while (message := await stream.receive()) is not None:
                    channel, data = message
                    if channel in greeted and channel == ERROR:
                        return data.decode(errors="replace").strip()
                    if channel in greeted:
                        return ""
                    greeted.add(channel)
                    if greeted >= {DATA, ERROR}:
                        limit.reschedule(asyncio.get_running_loop().time() + _REFUSED_SECONDS)
        except TimeoutError:
            return ""
        return "the connection was closed at once"

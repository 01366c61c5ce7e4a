"""One connection to the run service: a question, or a lease for as long as the connection lasts.

The one rule: when the connection ends, however it ends, its lease ends with it, unless its cluster was to be kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_vcluster.errors import ProvisionError, VClusterError
from pytest_vcluster.service.plan import Key
from pytest_vcluster.service.pool import Pool, Slot
from pytest_vcluster.service.protocol import LeaseRequest, decode, encode, error_event

if TYPE_CHECKING:
    from pytest_vcluster.service.server import Service


class Session:
    """A connected worker."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service = service
        self._reader = reader
        self._writer = writer

    async def run(self) -> None:
        """Answer requests until the worker hangs up."""
        try:
            while line := await self._reader.readline():
                await self._answer(decode(line))
        except (ConnectionError, ValueError):
            pass  # hung up in mid-line, or never spoke our language
        finally:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()

    async def _answer(self, request: Mapping[str, Any]) -> None:
        match request.get("op"):
            case "lease":
                await self._lease(LeaseRequest.from_json(request["request"]))
            case "host":
                await self._host()
            case "summary":
                self._send({"event": "answer", "summary": self._service.summary()})
            case "detach":
                self._service.detached = True
                self._send({"event": "answer"})
            case "end":
                self._send({"event": "answer", "ended": self._end_kept(request.get("cluster"))})
                self._service.kept_ended()
            case "shutdown":
                self._send({"event": "answer", "summary": self._service.summary()})
                await self._writer.drain()
                self._service.ending.set()
            case other:
                self._send(error_event(ProvisionError(f"The run service does not know the request {other!r}.")))

    async def _lease(self, request: LeaseRequest) -> None:
        began = time.monotonic()
        hung_up = asyncio.ensure_future(self._reader.readline())
        granting = asyncio.ensure_future(self._granted(request))
        try:
            await asyncio.wait((hung_up, granting), return_when=asyncio.FIRST_COMPLETED)
            if not granting.done():
                return  # the worker went away while it waited
            try:
                pool, slot, facts = granting.result()
            except (VClusterError, OSError) as error:
                self._send(error_event(error))
                return
            try:
                grant = {
                    **facts,
                    "prepared_seconds": slot.prepared_seconds,
                    "waited_seconds": time.monotonic() - began,
                }
                self._send({"event": "granted", "grant": grant})
                await self._held(slot, pool, str(facts["kubeconfig"]), hung_up)
            finally:
                if slot not in pool.kept:
                    pool.release(slot)
        finally:
            for task in (hung_up, granting):
                task.cancel()
            await asyncio.gather(hung_up, granting, return_exceptions=True)

    async def _granted(self, request: LeaseRequest) -> tuple[Pool, Slot, dict[str, object]]:
        with self._service.listen(self._progress):
            ground = await self._service.ground(self._progress)
            slot = await ground.pool.lease(Key(request.version, request.nodes), expected=request.expected)
            assert slot.cluster is not None
            assert slot.gate is not None
            try:
                if request.on_host:
                    await slot.on_host()
                return ground.pool, slot, await asyncio.to_thread(slot.cluster.facts, slot.gate.url)
            except BaseException:
                ground.pool.release(slot)
                raise

    async def _held(self, slot: Slot, pool: Pool, kubeconfig: str, next_line: asyncio.Future[bytes]) -> None:
        while line := await next_line:
            request = decode(line)
            deaths = [asdict(death) for death in slot.deaths]
            if request.get("op") == "release":
                if request.get("keep"):
                    pool.keep(slot, kubeconfig=self._service.write_kubeconfig(slot, kubeconfig))
                else:
                    pool.release(slot)
                self._send({"event": "answer", "deaths": deaths})
                return
            self._send({"event": "answer", "deaths": deaths})
            next_line = asyncio.ensure_future(self._reader.readline())

    async def _host(self) -> None:
        with self._service.listen(self._progress):
            try:
                ground = await self._service.ground(self._progress)
                self._send({"event": "answer", "host": await ground.backplane.host_ready()})
            except (VClusterError, OSError) as error:
                self._send(error_event(error))

    def _end_kept(self, name: str | None) -> list[str]:
        pool = self._service.pool
        ended = [slot for slot in (pool.kept if pool else ()) if slot.cluster and name in (None, slot.cluster.name)]
        for slot in ended:
            assert pool is not None
            pool.retire(slot)
        return [slot.cluster.name for slot in ended if slot.cluster]

    def _progress(self, text: str) -> None:
        self._send({"event": "progress", "text": text})

    def _send(self, message: Mapping[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(encode(message))

"""The recyclers of a process: one for each tenant, and each does one thing at a time."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from test_syncer_recycle_admin import Behind
from vcluster_syncer.engine.tenants import NoSuchTenant
from vcluster_syncer.kube.kubeconfig import Server
from vcluster_syncer.recycle import recyclers
from vcluster_syncer.recycle.recyclers import NoSuchCheckpoint, Recyclers
from vcluster_syncer.recycle.target import Target


class FakeRecycler:
    """Notes what it does and when it begins and ends."""

    def __init__(self):
        self.log = []
        self.open = True

    async def _do(self, what, answer=None):
        assert self.open
        self.log.append(f"{what} begins")
        await asyncio.sleep(0)
        self.log.append(f"{what} ends")
        return answer

    async def capture(self):
        return await self._do("capture", "captured")

    async def recycle(self):
        return await self._do("recycle", "recycled")

    async def checkpoint(self):
        return await self._do("checkpoint", "a1")

    async def restore(self, name):
        if name != "a1":
            raise KeyError(name)
        return await self._do("restore", "restored")

    async def recycle_awake(self, pids):
        return await self._do(f"recycle with {pids}", "recycled")

    def freeze_others(self, pids):
        self.log.append(f"freeze {pids}")


@contextlib.asynccontextmanager
async def recycling(monkeypatch):
    """Recyclers with one for the tenant vc-1, which is a fake one."""
    made = FakeRecycler()

    @contextlib.asynccontextmanager
    async def opened(*_arguments, **_keywords):
        yield made
        made.open = False

    monkeypatch.setattr(recyclers.Recycler, "open", opened)
    behind = Behind()
    async with Recyclers.open(behind, timeout=5.0) as found:
        await found.add("vc-1", Target(etcd=Path("/e"), prefix="/vc/"), Server(url="http://127.0.0.1:1"))
        yield found, made, behind


def test_a_recycler_does_one_thing_at_a_time(monkeypatch):
    async def main():
        async with recycling(monkeypatch) as (found, made, _):
            jobs = [found.capture("vc-1"), found.checkpoint("vc-1"), found.restore("vc-1", "a1"), found.recycle("vc-1")]
            assert await asyncio.gather(*jobs) == ["captured", "a1", "restored", "recycled"]
            done = ["capture", "checkpoint", "restore", "recycle"]
            assert made.log == [f"{each} {moment}" for each in done for moment in ("begins", "ends")]

    asyncio.run(main())


def test_a_controller_manager_is_replaced_while_nothing_else_is_done(monkeypatch):
    async def main():
        async with recycling(monkeypatch) as (found, made, _):
            jobs = [found.checkpoint("vc-1"), found.recycle_awake("vc-1", freeze=[7])]
            assert await asyncio.gather(*jobs) == ["a1", "recycled"]
            assert made.log[1:] == ["checkpoint ends", "recycle with [7] begins", "recycle with [7] ends"]

    asyncio.run(main())


def test_it_is_closed_when_its_tenant_goes_but_not_in_the_middle_of_something(monkeypatch):
    async def main():
        async with recycling(monkeypatch) as (found, made, _):
            working = asyncio.create_task(found.recycle("vc-1"))
            await asyncio.sleep(0)
            await found.remove("vc-1")
            assert (working.done(), made.open) == (True, False)
            await found.remove("vc-1")
            with pytest.raises(NoSuchTenant, match="no tenant 'vc-1' that can be recycled; there are: none"):
                await found.recycle("vc-1")

    asyncio.run(main())


def test_those_that_are_left_are_closed_in_the_end(monkeypatch):
    async def main():
        async with recycling(monkeypatch) as (_, made, _):
            assert made.open
        assert not made.open

    asyncio.run(main())


def test_a_checkpoint_of_that_name_must_be_there(monkeypatch):
    async def main():
        async with recycling(monkeypatch) as (found, _, _):
            with pytest.raises(NoSuchCheckpoint, match="tenant 'vc-1' has no checkpoint 'b2'"):
                await found.restore("vc-1", "b2")

    asyncio.run(main())


def test_who_is_learnt_anew_has_other_processes_frozen(monkeypatch):
    async def main():
        async with recycling(monkeypatch) as (found, made, behind):
            await found.restart("vc-1", freeze=[7])
            assert made.log == ["freeze [7]"]
            assert behind.asked == [("restart", "vc-1")]

    asyncio.run(main())

"""Whether processes have anything left to do, by what the system tells of them."""

import asyncio
import subprocess
import sys

import pytest
from fake_api import eventually
from recycler_parts import comes_to_be, sleeper
from vcluster_syncer.recycle.rest import Work, at_rest, can_tell, work_of

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.mark.parametrize(
    ("before", "after", "rests"),
    [
        ((), (), True),
        ((Work(100, 0),), (Work(100, 0),), True),
        ((Work(100, 0),), (Work(200_100, 0),), True),
        ((Work(100, 0),), (Work(900_100, 0),), False),
        ((Work(100, 0),), (Work(100, 1),), False),
        ((Work(100, 1),), (Work(100, 0),), True),
        ((Work(0, 0), Work(0, 0)), (Work(0, 0), Work(5_000_000, 0)), False),
        ((Work(100, 1),), (Work(0, 0),), True),
    ],
    ids=["nobody", "nothing", "next to nothing", "busy", "wants to", "wanted to", "one of two", "gone"],
)
def test_a_process_is_at_rest_when_it_did_next_to_nothing_and_does_not_want_to(before, after, rests):
    assert at_rest(before, after) is rests


@linux
def test_a_process_that_sleeps_is_at_rest():
    with sleeper() as process:
        assert comes_to_be(False, process.pid)
        _look_until(process.pid, rests=True)


@linux
def test_a_process_that_works_is_not():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            _look_until(process.pid, rests=False)
        finally:
            process.kill()


@linux
def test_a_process_that_is_gone_has_nothing_to_do():
    with sleeper() as process:
        process.kill()
        process.wait()
        assert work_of([process.pid]) == (Work(0, 0),)


@linux
def test_linux_tells():
    assert can_tell()


def _look_until(pid, *, rests):
    """Look twice, again and again, until the process is at rest in between, or is not."""

    async def looks():
        await eventually(lambda: at_rest(work_of([pid]), work_of([pid])) is rests)

    asyncio.run(looks())

"""Long sequences of what nobody thought of, judged by an oracle that knows the virtual cluster only.

`PYTEST_VCLUSTER_CHAOS_SECONDS` says for how long (600 for a thorough run), `PYTEST_VCLUSTER_CHAOS_SEED` which chance.
"""

import asyncio
import contextlib
import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from faulty_api import FaultyApi, failure, is_watch
from oracle import differences, disagreements, expected, observed
from random_edits import Editor
from syncer_case import QUICK, Case, admin_of, config_file, syncer, syncer_process
from two_api_servers import Api, eventually, started
from vcluster_syncer.model import CONFIGMAPS, PODS, SECRETS, SERVICES

SECONDS = float(os.environ.get("PYTEST_VCLUSTER_CHAOS_SECONDS", "6"))
SEED = int(os.environ.get("PYTEST_VCLUSTER_CHAOS_SEED") or random.randrange(1 << 32))
WATCHED = (PODS, CONFIGMAPS, SECRETS, SERVICES)
LONGEST_PATROL = 5.0

pytestmark = pytest.mark.timeout(SECONDS + 240)


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture
def directory():
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        yield Path(made)


@contextlib.asynccontextmanager
async def edited(servers):
    """A tenant's two sides and somebody to edit them; everything that is still going on ends at the end."""
    async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
        case = await Case.prepare(host, virtual, servers.first)
        editor = Editor(case, SEED)
        await editor.prepare()
        over = asyncio.Event()
        playing = asyncio.create_task(editor.play_host(over.is_set))
        try:
            yield case, editor
        finally:
            over.set()
            await playing


async def wrong(case):
    """How the host differs from what the virtual cluster calls for, and the virtual pods from the host's."""
    there = {resource.plural: await case.host.list(resource, case.name) for resource in WATCHED}
    here = {resource.plural: await case.virtual.list(resource) for resource in WATCHED}
    return differences(expected(here), observed(there)) + disagreements(here["pods"], there["pods"])


async def agrees(case, editor):
    """Wait until both sides are what they should be."""
    editor.calm = True
    last = ["nothing was looked at"]

    async def right():
        nonlocal last
        last = await wrong(case)
        # Asking takes from the processor that those who are asked need.
        await asyncio.sleep(0.2)
        return not last

    try:
        await eventually(right, seconds=60)
    except AssertionError:
        raise AssertionError(f"seed {SEED}, after {len(editor.done)} edits:\n" + "\n".join(last[:20])) from None


def until(seconds, editor):
    """Tell when the time is over and there was enough to do for it to mean something."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    return lambda: loop.time() > end and len(set(editor.done)) > 6


def random_faults(proxy, chance):
    """A rule that has one request in twelve go wrong, in one way or another."""

    async def rule(request):
        if is_watch(request):
            if chance.random() < 0.1:
                request.loop.call_later(chance.uniform(0.1, 3.0), request.transport.abort)
            return None
        match chance.randrange(48):
            case 0:
                return failure(429, "TooManyRequests", **{"Retry-After": "1"})
            case 1:
                return failure(500, "InternalError")
            case 2:
                await asyncio.sleep(chance.uniform(0.05, 0.5))
            case 3:
                await proxy.forward(request)
                request.transport.abort()
        return None

    return rule


def test_after_random_edits_and_faults_the_host_is_what_the_virtual_cluster_calls_for(servers, directory):
    async def scenario():
        async with (
            edited(servers) as (case, editor),
            FaultyApi.open(servers.host) as host,
            FaultyApi.open(servers.first) as virtual,
        ):
            proxied = replace(servers.host, kubeconfig=host.write_kubeconfig(directory / "host"))
            timing = replace(QUICK, silence=30.0)
            async with syncer(directory, proxied, timing=timing, patrol=LONGEST_PATROL) as admin:
                here = str(virtual.write_kubeconfig(directory / "virtual"))
                await case.carried_by(admin, virtual={"kubeconfig": here})
                host.rule, virtual.rule = (random_faults(proxy, random.Random(SEED)) for proxy in (host, virtual))
                await editor.edit(until(SECONDS, editor))
                host.rule, virtual.rule = FaultyApi.no_fault, FaultyApi.no_fault
                await agrees(case, editor)

    asyncio.run(scenario())


def test_a_syncer_that_is_killed_at_random_moments_leaves_nothing_behind_and_does_nothing_twice(servers, directory):
    config = config_file(directory, servers.host)
    chance = random.Random(SEED)

    async def one_life(case, process):
        """Let a syncer work for a while, and kill it in the middle of whatever it does."""
        async with admin_of(directory) as admin:
            with contextlib.suppress(TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(chance.uniform(0.0, 1.5)):
                    await case.carried_by(admin)
                    await asyncio.sleep(60)
        process.kill()
        await asyncio.to_thread(process.wait)

    async def scenario():
        async with edited(servers) as (case, editor):
            is_over = until(SECONDS, editor)
            editing = asyncio.create_task(editor.edit(is_over))
            lives = 0
            while not is_over() or lives < 3:
                with syncer_process(config, directory / "log") as process:
                    await one_life(case, process)
                lives += 1
            await editing
            with syncer_process(config, directory / "log"):
                async with admin_of(directory) as admin:
                    await case.carried_by(admin)
                    await agrees(case, editor)

    asyncio.run(scenario())

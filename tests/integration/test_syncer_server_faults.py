"""What API servers do to a syncer: restart, forget history, ask for patience, refuse, answer late or not at all."""

import asyncio
import contextlib
import itertools
import logging
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from faulty_api import FaultyApi, failure, is_watch
from syncer_case import CONTAINER, QUICK, Case, syncer
from two_api_servers import Api, eventually, started
from vcluster_syncer.kube.errors import NotFound
from vcluster_syncer.model import CONFIGMAPS, PODS, SECRETS, SERVICES

SECONDS = 60.0
# A watch that is quiet is in order here, and one that lasts for a moment has recovered.
TIMING = replace(QUICK, silence=60.0, steady=0.2, request=15.0)


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
async def prepared(servers):
    async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
        yield await Case.prepare(host, virtual, servers.first)


@contextlib.asynccontextmanager
async def between(servers, directory, *, timing=TIMING, patrol=120.0):
    """A tenant carried by a syncer that reaches both servers through faulty proxies."""
    async with (
        prepared(servers) as case,
        FaultyApi.open(servers.host) as host,
        FaultyApi.open(servers.first) as virtual,
    ):
        proxied = replace(servers.host, kubeconfig=host.write_kubeconfig(directory / "host"))
        async with syncer(directory, proxied, timing=timing, patrol=patrol) as admin:
            leading_here = str(virtual.write_kubeconfig(directory / "virtual"))
            await case.carried_by(admin, virtual={"kubeconfig": leading_here})
            yield case, host, virtual, admin


async def names(case):
    """The virtual names of the tenant's pods on the host, one for each host pod."""
    pods = await case.host.list(PODS, case.name)
    return sorted(pod["metadata"]["annotations"]["vcluster-syncer/name"] for pod in pods)


async def holds(case, wanted):
    return await names(case) == wanted


async def is_ready(case, name):
    status = (await case.virtual.get(PODS, "default", name))["status"]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ())


async def metric(admin, name):
    """The sum of a metric over all its labels."""
    _, text = await admin.call("GET", "/metrics")
    lines = [line for line in text.splitlines() if line.startswith((f"{name}{{", f"{name} "))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.mark.parametrize("forgetting", [False, True], ids=["", "and its history is gone"])
@pytest.mark.parametrize("side", ["host", "first"])
def test_an_api_server_is_restarted(servers, directory, side, forgetting, caplog):
    caplog.set_level(logging.INFO, "vcluster_syncer")

    async def scenario():
        async with prepared(servers) as case, syncer(directory, servers.host, timing=TIMING) as admin:
            await case.carried_by(admin)
            for name in ("stays", "goes"):
                await case.create_pod(name)
                await case.run(name)
                await eventually(lambda name=name: is_ready(case, name), seconds=SECONDS)
            there, resource = (case.virtual, SERVICES) if side == "host" else (case.host, CONFIGMAPS)
            with servers.down(side):
                # The other side goes on, so that the syncer has something to do that it can't.
                namespace = "default" if side == "host" else case.name
                for number in range(5):
                    await there.create(resource, namespace, f"meanwhile-{number}", **_content(resource))
                if side == "host":
                    await there.delete(PODS, "default", "goes", grace=0)
                if forgetting:
                    servers.compact()
                await eventually(lambda: is_unwell(admin), seconds=SECONDS)
            if side == "first":
                await eventually(lambda: deleted(case, "goes"), seconds=SECONDS)
            # A server that has just started admits nothing before it knows what there is.
            await eventually(lambda: case.create_pod("new"), seconds=SECONDS)
            await case.run("new")
            await eventually(lambda: is_ready(case, "new"), seconds=SECONDS)
            await eventually(lambda: holds(case, ["new", "stays"]), seconds=SECONDS)
            if side == "host":
                for number in range(5):
                    await eventually(lambda number=number: case.host_object(SERVICES, f"meanwhile-{number}"))
            await eventually(lambda: is_well(admin), seconds=SECONDS)

    asyncio.run(scenario())
    if forgetting:
        assert "listing again" in caplog.text


def _content(resource):
    return {"data": {}} if resource == CONFIGMAPS else {"spec": {"ports": [{"port": 80}]}}


async def deleted(case, name):
    with contextlib.suppress(NotFound):  # it was, though nobody said so
        await case.virtual.delete(PODS, "default", name, grace=0)
    return True


async def is_well(admin):
    return (await admin.call("GET", "/healthz"))[0] == 200


async def is_unwell(admin):
    return not await is_well(admin)


def test_a_server_that_asks_for_patience_is_asked_again_when_it_wished(servers, directory):
    asked = []

    async def scenario():
        async with between(servers, directory) as (case, host, _virtual, admin):

            async def busy(request):
                if request.method == "POST" and request.path.endswith("/pods"):
                    asked.append(asyncio.get_running_loop().time())
                    if len(asked) <= 3:
                        return failure(429, "TooManyRequests", **{"Retry-After": "1"})
                return None

            host.rule = busy
            await case.create_pod("web")
            # What changes meanwhile is no reason to ask sooner.
            for number in range(10):
                await case.virtual.patch(PODS, "default", "web", {"metadata": {"labels": {"n": str(number)}}})

            async def has_followed():
                return (await case.on_host(PODS, "web"))["metadata"]["labels"].get("n") == "9"

            await eventually(has_followed, seconds=SECONDS)
            assert await metric(admin, "vcluster_syncer_errors_total") == 3

    asyncio.run(scenario())
    assert len(asked) == 4
    assert min(later - sooner for sooner, later in itertools.pairwise(asked)) >= 0.95


def test_a_status_that_meets_a_change_of_the_users_is_written_anew_and_the_change_stays(servers, directory):
    async def scenario():
        async with between(servers, directory) as (case, _host, virtual, admin):
            left = iter(range(4))

            async def meddling(request):
                if (
                    request.method == "PUT"
                    and request.path.endswith("/pods/web/status")
                    and (n := next(left, None)) is not None
                ):
                    patch = {"metadata": {"annotations": {f"user-{n}": "was here"}}}
                    await case.virtual.patch(PODS, "default", "web", patch)
                return

            virtual.rule = meddling
            await case.create_pod("web")
            await case.run("web")
            await eventually(lambda: is_ready(case, "web"), seconds=SECONDS)
            annotations = (await case.virtual.get(PODS, "default", "web"))["metadata"]["annotations"]
            assert {f"user-{number}" for number in range(4)} <= set(annotations)
            assert await metric(admin, "vcluster_syncer_conflicts_total") >= 4

    asyncio.run(scenario())


def test_slow_servers_slow_down_and_spoil_nothing(servers, directory):
    wanted = [f"web-{number:02}" for number in range(20)]

    async def scenario():
        async with between(servers, directory) as (case, host, virtual, _admin):

            async def slow(request):
                if not is_watch(request):
                    await asyncio.sleep(0.3)
                return

            host.rule = virtual.rule = slow
            await asyncio.gather(*(case.create_pod(name) for name in wanted))
            await eventually(lambda: holds(case, wanted), seconds=SECONDS)
            await case.run(wanted[0])
            await eventually(lambda: is_ready(case, wanted[0]), seconds=SECONDS)

    asyncio.run(scenario())


def test_what_took_effect_without_an_answer_is_not_done_twice(servers, directory):
    asked = []

    async def scenario():
        async with between(servers, directory, timing=replace(TIMING, request=2.0)) as (case, host, _virtual, _admin):

            async def silent(request):
                if request.method == "POST" and request.path.endswith(("/pods", "/secrets")) and len(asked) < 4:
                    asked.append(request.path)
                    answer = await host.forward(request)
                    await asyncio.sleep(4.0)
                    return answer
                return None

            host.rule = silent
            await asyncio.gather(*(case.create_pod(f"web-{number}") for number in range(4)))
            await eventually(lambda: holds(case, [f"web-{number}" for number in range(4)]), seconds=SECONDS)
            assert len(await case.host.list(SECRETS, case.name)) == 4

    asyncio.run(scenario())
    assert len(asked) == 4


def test_what_no_watch_tells_is_repaired_within_the_patrol_period(servers, directory):
    patrol = 1.0

    async def scenario():
        async with between(servers, directory, patrol=patrol) as (case, host, _virtual, admin):
            await case.virtual.create(CONFIGMAPS, "default", "settings", data={"colour": "blue"})
            spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
            await case.virtual.create(SERVICES, "default", "web", spec=spec)
            environment = [{"configMapRef": {"name": "settings"}}]
            await case.create_pod("web", containers=[{**CONTAINER, "envFrom": environment}])
            edited = await case.on_host(CONFIGMAPS, "settings")
            deleted = await case.on_host(SERVICES, "web")
            pod = await case.on_host(PODS, "web")
            await eventually(lambda: at_rest(admin), seconds=SECONDS)
            host.muted = True
            name = edited["metadata"]["name"]
            await case.host.patch(CONFIGMAPS, case.name, name, {"data": {"colour": "red"}})
            await case.host.patch(
                PODS, case.name, pod["metadata"]["name"], {"metadata": {"labels": {"vcluster-syncer/namespace": None}}}
            )
            await case.host.delete(SERVICES, case.name, deleted["metadata"]["name"])

            async def repaired():
                service = await case.host_object(SERVICES, "web")
                data = (await case.on_host(CONFIGMAPS, "settings"))["data"]
                labels = (await case.on_host(PODS, "web"))["metadata"]["labels"]
                return service and data == {"colour": "blue"} and labels.get("vcluster-syncer/namespace") == "default"

            # The patrol's default is two minutes: nothing else than this one brings it about so soon.
            await eventually(repaired, seconds=patrol + SECONDS)

    asyncio.run(scenario())


async def at_rest(admin):
    [told] = (await admin.call("GET", "/v1/tenants"))[1]
    return all(kind["ready"] == kind["active"] == 0 for kind in told["kinds"].values())

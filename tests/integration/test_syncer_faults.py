"""What goes wrong around the syncer: cut and silent connections, dead servers, tenants that go, kill -9."""

import asyncio
import contextlib
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from syncer_case import QUICK, Case, admin_of, config_file, syncer, syncer_process
from tcp_proxy import Proxy
from two_api_servers import Api, eventually, started
from vcluster_syncer.model import CONFIGMAPS, PODS, SECRETS, SERVICES


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
async def cases(servers, count=1):
    async with (
        Api.open(servers.host) as host,
        Api.open(servers.first) as first,
        Api.open(servers.second) as second,
    ):
        sides = [(first, servers.first), (second, servers.second)][:count]
        yield [await Case.prepare(host, virtual, server) for virtual, server in sides]


async def names(case):
    """The virtual names of the tenant's pods on the host, one for each host pod."""
    pods = await case.host.list(PODS, case.name)
    return sorted(pod["metadata"]["annotations"]["vcluster-syncer/name"] for pod in pods)


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_connections_to_both_servers_that_are_lost_are_made_again(servers, directory, fault):
    async def scenario():
        async with (
            cases(servers) as [case],
            Proxy.open(servers.host.port) as to_host,
            Proxy.open(servers.first.port) as to_virtual,
        ):
            through_host = servers.host.through(to_host.port, servers.host.kubeconfig.parent / "proxied")
            through_virtual = servers.first.through(to_virtual.port, servers.first.kubeconfig.parent / "proxied")
            proxied = replace(servers.host, kubeconfig=through_host)
            async with syncer(directory, proxied) as admin:
                await case.carried_by(admin, virtual={"kubeconfig": str(through_virtual)})
                await case.create_pod("before")
                await case.on_host(PODS, "before")
                for proxy in (to_host, to_virtual):
                    getattr(proxy, fault)()
                await case.create_pod("meanwhile")
                await case.run("meanwhile")
                await eventually(lambda: is_ready(case, "meanwhile"))
                await case.virtual.delete(PODS, "default", "before")
                await eventually(lambda: holds(case, ["meanwhile"]))

    asyncio.run(scenario())


def test_two_tenants_with_the_same_names_do_not_meet(servers, directory):
    async def scenario():
        async with cases(servers, 2) as [one, two], syncer(directory, servers.host) as admin:
            await asyncio.gather(one.carried_by(admin), two.carried_by(admin))
            for case, colour in ((one, "blue"), (two, "red")):
                await case.virtual.create(CONFIGMAPS, "default", "settings", data={"colour": colour})
                environment = [{"configMapRef": {"name": "settings"}}]
                await case.create_pod("web", containers=[{"name": "main", "image": "app", "envFrom": environment}])
            for case, colour in ((one, "blue"), (two, "red")):
                assert (await case.on_host(CONFIGMAPS, "settings"))["data"] == {"colour": colour}
            await one.run("web")
            await eventually(lambda: is_ready(one, "web"))
            await two.on_host(PODS, "web")
            assert not await is_ready(two, "web")
            await one.virtual.delete(PODS, "default", "web", grace=0)
            await eventually(lambda: holds(one, []))
            assert await names(two) == ["web"]

    asyncio.run(scenario())


def test_a_tenant_is_removed_while_it_is_busy_and_its_connections_are_closed(servers, directory):
    async def scenario():
        async with cases(servers, 2) as [busy, other], Proxy.open(servers.first.port) as proxy:
            through = servers.first.through(proxy.port, servers.first.kubeconfig.parent / "busy")
            async with syncer(directory, servers.host) as admin:
                await asyncio.gather(
                    busy.carried_by(admin, virtual={"kubeconfig": str(through)}), other.carried_by(admin)
                )
                creating = [asyncio.create_task(busy.create_pod(f"web-{number}")) for number in range(40)]
                await eventually(lambda: names(busy))
                status, _ = await admin.call("DELETE", f"/v1/tenants/{busy.name}")
                assert status == 200
                assert [one["name"] for one in (await admin.call("GET", "/v1/tenants"))[1]] == [other.name]
                await asyncio.gather(*creating)

                async def none_left():
                    return proxy.connections == 0

                await eventually(none_left)
                left = await names(busy)
                await other.create_pod("web")
                await other.on_host(PODS, "web")
                assert await names(busy) == left
                assert (await admin.call("DELETE", f"/v1/tenants/{busy.name}"))[0] == 404
                # It may come back, and then all is made good.
                await busy.carried_by(admin)
                await eventually(lambda: holds(busy, sorted(f"web-{number}" for number in range(40))))

    asyncio.run(scenario())


def test_a_tenant_whose_server_is_dead_does_not_spin_or_disturb_others(servers, directory):
    async def scenario():
        async with cases(servers, 2) as [dying, other], Proxy.open(servers.first.port) as proxy:
            through = servers.first.through(proxy.port, servers.first.kubeconfig.parent / "dying")
            timing = replace(QUICK, reconnect=replace(QUICK.reconnect, first=0.5, longest=5))
            async with syncer(directory, servers.host, timing=timing) as admin:
                await asyncio.gather(
                    dying.carried_by(admin, virtual={"kubeconfig": str(through)}), other.carried_by(admin)
                )
                await dying.create_pod("web")
                host_pod = await dying.on_host(PODS, "web")
                proxy.refuse(True)
                proxy.cut()
                before, began = proxy.accepted, time.monotonic()
                # News from the host for a tenant that can't be told.
                for restarts in range(20):
                    await dying.set_status(host_pod, ready=True, restarts=restarts)
                await other.create_pod("web")
                await other.run("web")
                await eventually(lambda: is_ready(other, "web"))
                # All that watch try again at once, and then, like the one who writes, a few times a second together.
                assert proxy.accepted - before < 100 + 20 * (time.monotonic() - began)
                [told] = [one for one in (await admin.call("GET", "/v1/tenants"))[1] if one["name"] == dying.name]
                assert told["errors"]
                proxy.refuse(False)
                await dying.host.bind(dying.name, host_pod["metadata"]["name"], f"{dying.name}-node-1")
                await eventually(lambda: is_ready(dying, "web"))

    asyncio.run(scenario())


def test_a_tenant_whose_server_never_answers_is_refused_with_the_reason(servers, directory):
    async def scenario():
        async with cases(servers) as [case], Proxy.open(servers.first.port) as proxy:
            proxy.refuse(True)
            through = servers.first.through(proxy.port, servers.first.kubeconfig.parent / "never")
            async with syncer(directory, servers.host, timing=replace(QUICK, synced=2.0)) as admin:
                body = {**case.description, "virtual": {"kubeconfig": str(through)}}
                status, answer = await admin.call("POST", "/v1/tenants", body)
                assert status == 504
                assert "GET /api/v1/pods" in answer["error"]
                assert "virtual.kubeconfig" in answer["error"]
                assert (await admin.call("GET", "/v1/tenants"))[1] == []

    asyncio.run(scenario())


def test_host_objects_that_somebody_edits_or_deletes_are_repaired(servers, directory):
    async def scenario():
        async with cases(servers) as [case], syncer(directory, servers.host) as admin:
            await case.carried_by(admin)
            spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
            await case.virtual.create(SERVICES, "default", "web", spec=spec)
            first = await case.on_host(SERVICES, "web")
            await case.host.delete(SERVICES, case.name, first["metadata"]["name"])

            async def again():
                service = await case.host_object(SERVICES, "web")
                return service and service["metadata"]["uid"] != first["metadata"]["uid"]

            await eventually(again)
            name = first["metadata"]["name"]
            await case.host.patch(SERVICES, case.name, name, {"spec": {"ports": [{"port": 99}]}})

            async def right():
                return (await case.on_host(SERVICES, "web"))["spec"]["ports"][0]["port"] == 80

            await eventually(right)

    asyncio.run(scenario())


def test_after_kill_9_and_restart_the_host_has_exactly_the_right_objects(servers, directory):
    config = config_file(directory, servers.host)

    async def scenario():
        async with cases(servers) as [case]:
            with syncer_process(config, directory / "log") as process:
                async with admin_of(directory) as admin:
                    await case.carried_by(admin)
                    await asyncio.gather(*(case.create_pod(f"web-{number}") for number in range(30)))
                    await eventually(lambda: names(case))
                    process.kill()
            await asyncio.gather(
                *(case.virtual.delete(PODS, "default", f"web-{number}", grace=0) for number in range(10))
            )
            with syncer_process(config, directory / "log") as process:
                async with admin_of(directory) as admin:
                    await case.carried_by(admin)
                    await eventually(lambda: holds(case, sorted(f"web-{number}" for number in range(10, 30))))
                    # One Secret of tokens for each pod, none for those that are gone.
                    await eventually(lambda: has_count(case, SECRETS, 20))
                process.stdin.close()
                assert await asyncio.to_thread(process.wait, 60) == 0

    asyncio.run(scenario())


async def holds(case, wanted):
    return await names(case) == wanted


async def has_count(case, resource, count):
    return len(await case.host.list(resource, case.name)) == count


async def is_ready(case, name):
    status = (await case.virtual.get(PODS, "default", name))["status"]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ())

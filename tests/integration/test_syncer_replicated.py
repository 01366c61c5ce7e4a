"""Services on the other side between real API servers: the host's in the virtual cluster, virtual ones by name."""

import asyncio
import contextlib
import tempfile
import uuid
from pathlib import Path

import pytest
from syncer_case import Case, syncer
from two_api_servers import NAMESPACES, Api, eventually, started
from vcluster_syncer.model import ENDPOINT_SLICES, EVENTS, SERVICES

PATIENCE = 60
PORTS = [{"name": "sql", "port": 5432, "protocol": "TCP", "targetPort": 5432}]
LEADS_TO = "kubernetes.io/service-name"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@contextlib.asynccontextmanager
async def prepared(servers):
    """A tenant, not carried yet; and a namespace of the host's."""
    async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
        case = await Case.prepare(host, virtual, servers.first)
        shared = f"shared-{uuid.uuid4().hex[:6]}"
        await host.create(NAMESPACES, "", shared)
        yield case, shared


@contextlib.asynccontextmanager
async def carried(case, servers, **changes):
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with syncer(Path(directory), servers.host) as admin:
            await case.carried_by(admin, **changes)
            yield admin


async def until(check):
    return await eventually(check, seconds=PATIENCE)


async def leads_to(api, namespace, service):
    """The addresses that a Service leads to."""
    slices = await api.list(ENDPOINT_SLICES, namespace, labels=f"{LEADS_TO}={service}")
    return sorted(
        address for each in slices for endpoint in each.get("endpoints") or () for address in endpoint["addresses"]
    )


def piece(*addresses, of="postgres"):
    return {
        "metadata": {"labels": {LEADS_TO: of}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [each], "conditions": {"ready": True}} for each in addresses],
        "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
    }


def test_a_service_of_the_host_is_in_the_virtual_cluster_and_leads_where_it_does(servers):
    async def scenario():
        async with prepared(servers) as (case, shared):
            await case.host.create(SERVICES, shared, "postgres", spec={"selector": {"app": "pg"}, "ports": PORTS})
            await case.host.create(ENDPOINT_SLICES, shared, "postgres-1", **piece("10.1.0.7"))
            shown = {f"{shared}/postgres": "default/db"}
            async with carried(case, servers, from_host={"services": shown}):
                virtual = await until(lambda: case.virtual.find(SERVICES, "default", "db"))
                host = await case.on_host(SERVICES, "db")
                # The tenant's own address, which kube-proxy of the host leads on.
                assert virtual["spec"]["clusterIP"] == host["spec"]["clusterIP"]
                assert virtual["spec"]["ports"] == PORTS

                async def led(*addresses):
                    there = await leads_to(case.host, case.name, host["metadata"]["name"])
                    return await leads_to(case.virtual, "default", "db") == there == list(addresses)

                await until(lambda: led("10.1.0.7"))
                await case.host.create(ENDPOINT_SLICES, shared, "postgres-2", **piece("10.1.0.8"))
                await until(lambda: led("10.1.0.7", "10.1.0.8"))
                await case.host.delete(ENDPOINT_SLICES, shared, "postgres-1")
                await until(lambda: led("10.1.0.8"))
                await case.virtual.delete(SERVICES, "default", "db")
                again = await until(lambda: case.virtual.find(SERVICES, "default", "db"))
                assert again["metadata"]["uid"] != virtual["metadata"]["uid"]
                await case.host.delete(SERVICES, shared, "postgres")

                async def is_gone():
                    slices = await case.virtual.list(ENDPOINT_SLICES, "default", labels=f"{LEADS_TO}=db")
                    return not slices and not await case.virtual.find(SERVICES, "default", "db")

                await until(is_gone)
                await until(lambda: is_none(case, SERVICES, "db"))

    asyncio.run(scenario())


async def is_none(case, resource, name):
    return await case.host_object(resource, name) is None


def test_where_the_user_has_a_service_of_that_name_it_stays_his_and_he_is_told(servers):
    async def scenario():
        async with prepared(servers) as (case, shared):
            own = await case.virtual.create(SERVICES, "default", "db", spec={"ports": PORTS})
            await case.host.create(SERVICES, shared, "postgres", spec={"ports": [{"port": 1}]})
            async with carried(case, servers, from_host={"services": {f"{shared}/postgres": "default/db"}}):

                async def is_told():
                    events = await case.virtual.list(EVENTS, "default")
                    return any(each["reason"] == "NameTaken" for each in events)

                await until(is_told)
                await case.on_host(SERVICES, "db")
                assert (await case.virtual.get(SERVICES, "default", "db"))["spec"] == own["spec"]

    asyncio.run(scenario())


def test_a_virtual_service_is_on_the_host_by_name_for_as_long_as_that_is_asked_for(servers):
    async def scenario():
        async with prepared(servers) as (case, _):
            await case.virtual.create(SERVICES, "default", "db", spec={"selector": {"app": "db"}, "ports": PORTS})
            named = {"to_host": {"services": {"default/db": "tenant-db", "default/by-hand": "tenant-by-hand"}}}
            async with carried(case, servers, **named):
                there = await until(lambda: case.host.find(SERVICES, case.name, "tenant-db"))
                copy = await case.on_host(SERVICES, "db")
                assert there["spec"]["selector"] == copy["spec"]["selector"]
                assert there["spec"]["clusterIP"] not in (None, "None", copy["spec"]["clusterIP"])
                await case.virtual.create(SERVICES, "default", "by-hand", spec={"ports": PORTS})
                await case.virtual.create(ENDPOINT_SLICES, "default", "mine", **piece("10.1.0.7", of="by-hand"))

                async def leads(name, *addresses):
                    return await leads_to(case.host, case.name, name) == list(addresses)

                await until(lambda: leads("tenant-by-hand", "10.1.0.7"))
                # What somebody undoes on the host is made anew.
                await case.host.delete(SERVICES, case.name, "tenant-db")
                await until(lambda: case.host.find(SERVICES, case.name, "tenant-db"))
                await case.virtual.delete(SERVICES, "default", "by-hand")

                async def has_gone():
                    return not await case.host.find(SERVICES, case.name, "tenant-by-hand") and await leads(
                        "tenant-by-hand"
                    )

                await until(has_gone)
            async with carried(case, servers):
                gone = eventually(lambda: has_not(case.host, case.name, "tenant-db"), seconds=PATIENCE)
                await gone
                await case.on_host(SERVICES, "db")

    asyncio.run(scenario())


async def has_not(api, namespace, name):
    return await api.find(SERVICES, namespace, name) is None


def test_a_foreign_service_of_that_name_is_left_alone_until_it_goes(servers):
    async def scenario():
        async with prepared(servers) as (case, _):
            foreign = await case.host.create(SERVICES, case.name, "tenant-db", spec={"ports": [{"port": 1}]})
            await case.virtual.create(SERVICES, "default", "db", spec={"selector": {"app": "db"}, "ports": PORTS})
            async with carried(case, servers, to_host={"services": {"default/db": "tenant-db"}}):

                async def is_told():
                    events = await case.virtual.list(EVENTS, "default")
                    return any("tenant-db" in each["message"] for each in events)

                await until(is_told)
                assert await case.host.get(SERVICES, case.name, "tenant-db") == foreign
                await case.host.delete(SERVICES, case.name, "tenant-db")
                ours = await until(lambda: case.host.find(SERVICES, case.name, "tenant-db"))
                assert ours["spec"]["ports"] == PORTS

    asyncio.run(scenario())

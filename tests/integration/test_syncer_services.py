"""Services between real API servers: every type, every change of one into another."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from syncer_case import Case, syncer
from two_api_servers import Api, eventually, started
from vcluster_syncer.model import ENDPOINT_SLICES, SERVICES

PATIENCE = 60
PORTS = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]
SELECTOR = {"app": "web"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@contextlib.asynccontextmanager
async def carried(servers, **changes):
    """One tenant, carried."""
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            case = await Case.prepare(host, virtual, servers.first)
            async with syncer(Path(directory), servers.host) as admin:
                await case.carried_by(admin, **changes)
                yield case


async def until(check):
    return await eventually(check, seconds=PATIENCE)


CHANGES = {
    "headless": {"clusterIP": "None", "selector": SELECTOR, "ports": PORTS},
    "headless without ports": {"clusterIP": "None", "selector": SELECTOR},
    "cluster IP": {"selector": SELECTOR, "ports": PORTS},
    "without a selector": {"ports": PORTS},
    "external name": {"type": "ExternalName", "externalName": "db.example.com"},
}


@pytest.mark.parametrize("spec", CHANGES.values(), ids=CHANGES)
def test_a_service_is_on_the_host_what_it_is_in_its_cluster(servers, spec):
    async def scenario():
        async with carried(servers) as case:
            virtual = (await case.virtual.create(SERVICES, "default", "web", spec=spec))["spec"]
            host = (await case.on_host(SERVICES, "web"))["spec"]
            for field in ("type", "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "externalName"):
                assert host.get(field) == virtual.get(field), field
            # One of our labels alone would select every pod of the tenant.
            assert bool(host.get("selector")) == bool(virtual.get("selector"))

    asyncio.run(scenario())


def test_the_type_may_change_there_and_back(servers):
    async def scenario():
        async with carried(servers, nodes={"mode": "shared"}) as case:
            spec = {"selector": SELECTOR, "ports": PORTS}
            first = await case.virtual.create(SERVICES, "default", "web", spec=spec)
            external = {"type": "ExternalName", "externalName": "db.example.com", "clusterIP": None, "clusterIPs": None}
            for change in (
                {"type": "NodePort"},
                {"type": "LoadBalancer"},
                external,
                {"type": "ClusterIP", "externalName": None},
                {"selector": None},
                {"selector": SELECTOR},
            ):
                virtual = (await case.virtual.patch(SERVICES, "default", "web", {"spec": change}))["spec"]

                async def is_the_same(virtual=virtual):
                    host = (await case.on_host(SERVICES, "web"))["spec"]
                    fields = ("type", "clusterIP", "externalName", "ports")
                    is_same = [host.get(field) == virtual.get(field) for field in fields]
                    return all(is_same) and bool(host.get("selector")) == bool(virtual.get("selector"))

                await until(is_the_same)
            assert virtual["clusterIP"]
            assert first["metadata"]["uid"] == (await case.virtual.get(SERVICES, "default", "web"))["metadata"]["uid"]

    asyncio.run(scenario())


def test_the_address_of_a_balancer_is_shown_and_goes(servers):
    async def scenario():
        async with carried(servers, nodes={"mode": "shared"}) as case:
            spec = {"type": "LoadBalancer", "selector": SELECTOR, "ports": PORTS}
            await case.virtual.create(SERVICES, "default", "web", spec=spec)
            name = (await case.on_host(SERVICES, "web"))["metadata"]["name"]
            for ingress in ([{"ip": "192.0.2.7", "ipMode": "VIP"}], None):
                status = {"status": {"loadBalancer": {"ingress": ingress}}}
                await case.host.patch(SERVICES, case.name, name, status, "status")

                async def is_shown(ingress=ingress):
                    virtual = await case.virtual.get(SERVICES, "default", "web")
                    return virtual["status"]["loadBalancer"].get("ingress") == ingress

                await until(is_shown)

    asyncio.run(scenario())


def test_where_a_service_without_a_selector_leads_is_what_its_user_wrote(servers):
    async def scenario():
        async with carried(servers) as case:
            await case.virtual.create(SERVICES, "default", "db", spec={"ports": [{"port": 5432}]})
            service = await case.on_host(SERVICES, "db")
            await case.virtual.create(
                ENDPOINT_SLICES,
                "default",
                "db-1",
                metadata={"labels": {"kubernetes.io/service-name": "db"}},
                addressType="IPv4",
                endpoints=[{"addresses": ["192.0.2.5"]}],
                ports=[{"port": 5432}],
            )
            there = await case.on_host(ENDPOINT_SLICES, "db-1")
            assert there["metadata"]["labels"]["kubernetes.io/service-name"] == service["metadata"]["name"]
            assert there["endpoints"][0]["addresses"] == ["192.0.2.5"]
            await case.virtual.delete(SERVICES, "default", "db")

            async def is_gone():
                return not await case.host_object(ENDPOINT_SLICES, "db-1")

            await until(is_gone)

    asyncio.run(scenario())


def test_the_api_servers_own_service_has_no_copy(servers):
    async def scenario():
        async with carried(servers) as case:
            await until(lambda: case.virtual.find(SERVICES, "default", "kubernetes"))
            await case.virtual.create(SERVICES, "default", "web", spec=CHANGES["cluster IP"])
            await case.on_host(SERVICES, "web")
            assert len(await case.host.list(SERVICES, case.name)) == 1

    asyncio.run(scenario())

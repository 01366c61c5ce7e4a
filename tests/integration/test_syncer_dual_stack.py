"""Services of both families between real API servers: each of their addresses is the host's, too."""

import asyncio
import contextlib
import ipaddress
import tempfile
from pathlib import Path

import pytest
from syncer_case import Case, syncer
from two_api_servers import DUAL_STACK, Api, eventually, started
from vcluster_syncer.model import ENDPOINT_SLICES, SERVICES

PATIENCE = 60
SPEC = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]}
SHARED = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers"), ranges=DUAL_STACK) as running:
        yield running


@contextlib.asynccontextmanager
async def carried(servers):
    """One tenant, carried."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            case = await Case.prepare(host, virtual, servers.first)
            async with syncer(Path(directory), servers.host) as admin:
                await case.carried_by(admin)
                yield case


async def shared(case, **wanted):
    """Wait until the host's Service has what the virtual one has, of which `wanted` is some; return that."""

    async def is_the_same():
        virtual = (await case.virtual.get(SERVICES, "default", "web"))["spec"]
        host = (await case.on_host(SERVICES, "web"))["spec"]
        assert wanted.items() <= virtual.items(), virtual
        return virtual if all(virtual.get(field) == host.get(field) for field in SHARED) else None

    return await eventually(is_the_same, seconds=PATIENCE)


def families(spec):
    return [f"IPv{ipaddress.ip_address(each).version}" for each in spec["clusterIPs"]]


@pytest.mark.parametrize("policy", ["SingleStack", "PreferDualStack", "RequireDualStack"])
@pytest.mark.parametrize("order", [["IPv4", "IPv6"], ["IPv6", "IPv4"]], ids="-".join)
def test_all_addresses_are_those_that_the_user_was_told(servers, policy, order):
    async def scenario():
        async with carried(servers) as case:
            asked = order[:1] if policy == "SingleStack" else order
            spec = {**SPEC, "ipFamilyPolicy": policy, "ipFamilies": asked}
            told = (await case.virtual.create(SERVICES, "default", "web", spec=spec))["spec"]
            assert families(told) == asked
            assert await shared(case, ipFamilyPolicy=policy, clusterIPs=told["clusterIPs"])

    asyncio.run(scenario())


@pytest.mark.parametrize("policy", ["PreferDualStack", "RequireDualStack"])
def test_a_headless_one_has_both_families_and_no_address(servers, policy):
    async def scenario():
        async with carried(servers) as case:
            spec = {**SPEC, "clusterIP": "None", "ipFamilyPolicy": policy}
            await case.virtual.create(SERVICES, "default", "web", spec=spec)
            assert await shared(case, clusterIPs=["None"], ipFamilies=["IPv4", "IPv6"])

    asyncio.run(scenario())


def test_the_second_address_may_come_and_go(servers):
    async def scenario():
        async with carried(servers) as case:
            await case.virtual.create(SERVICES, "default", "web", spec=SPEC)
            first = (await shared(case, ipFamilyPolicy="SingleStack"))["clusterIPs"]
            await case.virtual.patch(SERVICES, "default", "web", {"spec": {"ipFamilyPolicy": "PreferDualStack"}})
            both = (await shared(case, ipFamilyPolicy="PreferDualStack"))["clusterIPs"]
            assert (both[:1], len(both)) == (first, 2)
            await case.virtual.patch(SERVICES, "default", "web", {"spec": {"ipFamilyPolicy": "SingleStack"}})
            assert (await shared(case, ipFamilyPolicy="SingleStack"))["clusterIPs"] == first

    asyncio.run(scenario())


def test_what_leads_somewhere_by_hand_does_so_in_both_families(servers):
    async def scenario():
        async with carried(servers) as case:
            spec = {"ports": SPEC["ports"], "ipFamilyPolicy": "RequireDualStack"}
            await case.virtual.create(SERVICES, "default", "web", spec=spec)
            for family, address in (("IPv4", "10.1.0.7"), ("IPv6", "fd00:1::7")):
                await case.virtual.create(
                    ENDPOINT_SLICES,
                    "default",
                    f"web-{family.lower()}",
                    metadata={"labels": {"kubernetes.io/service-name": "web"}},
                    addressType=family,
                    endpoints=[{"addresses": [address]}],
                    ports=[{"name": "http", "port": 8080}],
                )
                there = await case.on_host(ENDPOINT_SLICES, f"web-{family.lower()}")
                assert (there["addressType"], there["endpoints"][0]["addresses"]) == (family, [address])

    asyncio.run(scenario())

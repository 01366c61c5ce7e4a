"""The Gateway API between real API servers, whose definitions come, go and are there on one side only."""

import asyncio
import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from syncer_case import QUICK, Case, syncer
from two_api_servers import NAMESPACES, Api, eventually, started
from vcluster_syncer.kube.errors import NotFound
from vcluster_syncer.model import (
    EVENTS,
    GATEWAY_CLASSES,
    GATEWAYS,
    GRPC_ROUTES,
    HTTP_ROUTES,
    PODS,
    REFERENCE_GRANTS,
    Resource,
)
from vcluster_syncer.naming import host_name

DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
RESOURCES = (GATEWAY_CLASSES, GATEWAYS, HTTP_ROUTES, GRPC_ROUTES, REFERENCE_GRANTS)
SWITCHES = [f"to_host.{name}" for name in ("gateways", "http_routes", "grpc_routes", "reference_grants")]
SWITCHES += ["from_host.gateway_classes"]
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
TIMING = replace(QUICK, absent=0.1)
LISTENER = {"name": "http", "port": 80, "protocol": "HTTP"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


def name_of(resource):
    return f"{resource.plural}.{resource.group}"


async def define(api, *resources):
    """Install the API: as open as can be, since what its schemas allow is not what these tests are about."""
    for resource in resources:
        schema = {"type": "object", "properties": {"spec": OPEN, "status": OPEN}}
        version = {
            "name": resource.version,
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}},
        }
        names = {"plural": resource.plural, "singular": resource.kind.lower(), "kind": resource.kind}
        spec = {
            "group": resource.group,
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "names": {**names, "listKind": f"{resource.kind}List"},
            "versions": [version],
        }
        approved = {"annotations": {"api-approved.kubernetes.io": "unapproved, for a test"}}
        await api.create(DEFINITIONS, "", name_of(resource), metadata=approved, spec=spec)
    for resource in resources:
        await eventually(lambda resource=resource: is_served(api, resource))


async def is_served(api, resource):
    await api.list(resource)
    return True


async def undefine(api):
    for resource in RESOURCES:
        with contextlib.suppress(NotFound):
            await api.delete(DEFINITIONS, "", name_of(resource))
    for resource in RESOURCES:
        await eventually(lambda resource=resource: is_gone(api, DEFINITIONS, name_of(resource)))


async def is_gone(api, resource, name, namespace=""):
    return await api.find(resource, namespace, name) is None


@contextlib.asynccontextmanager
async def carried(servers):
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            await undefine(host)
            await undefine(virtual)
            case = await Case.prepare(host, virtual, servers.first)
            async with syncer(Path(directory), servers.host, timing=TIMING, on=SWITCHES) as admin:
                yield case, admin


async def errors(admin):
    _, [described] = await admin.call("GET", "/v1/tenants")
    # A watch on which nothing happens is taken for dead within two seconds here.
    return [error for error in described["errors"] if "no answer in time" not in error]


def test_a_route_reaches_the_host_and_what_is_said_of_it_comes_back(servers):
    async def scenario():
        async with carried(servers) as (case, admin):
            await define(case.host, *RESOURCES)
            await define(case.virtual, *RESOURCES)
            await case.host.create(GATEWAY_CLASSES, "", "shiny", spec={"controllerName": "example.org/c"})
            await case.carried_by(admin)
            assert (await case.virtual.get(GATEWAY_CLASSES, "", "shiny"))["spec"]["controllerName"] == "example.org/c"

            spec = {"gatewayClassName": "shiny", "listeners": [LISTENER]}
            await case.virtual.create(GATEWAYS, "default", "edge", spec=spec)
            spec = {"parentRefs": [{"name": "edge"}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}
            for resource in (HTTP_ROUTES, GRPC_ROUTES):
                await case.virtual.create(resource, "default", "web", spec=spec)
                await case.on_host(resource, "web")
            edge, route = await case.on_host(GATEWAYS, "edge"), await case.on_host(HTTP_ROUTES, "web")
            assert route["spec"]["parentRefs"] == [{"name": edge["metadata"]["name"]}]
            assert route["spec"]["rules"][0]["backendRefs"][0]["name"] == host_name(case.name, "default", "web")

            accepted = [{"type": "Accepted", "status": "True", "message": f"by {edge['metadata']['name']}"}]
            told = {"parentRef": route["spec"]["parentRefs"][0], "controllerName": "c", "conditions": accepted}
            for resource, host, status in (
                (GATEWAYS, edge, {"conditions": accepted}),
                (HTTP_ROUTES, route, {"parents": [told]}),
            ):
                await case.host.patch(resource, case.name, host["metadata"]["name"], {"status": status}, "status")

            async def came_back():
                gateway = await case.virtual.get(GATEWAYS, "default", "edge")
                parents = (await case.virtual.get(HTTP_ROUTES, "default", "web")).get("status", {}).get("parents")
                return gateway.get("status") and parents and (gateway["status"]["conditions"], parents)

            conditions, [parent] = await eventually(came_back)
            assert conditions[0]["message"] == "by edge"
            assert parent["parentRef"] == {"name": "edge"}
            await case.virtual.delete(HTTP_ROUTES, "default", "web")
            await eventually(lambda: is_gone(case.host, HTTP_ROUTES, route["metadata"]["name"], case.name))

    asyncio.run(scenario())


def test_a_grant_opens_the_way_to_another_namespace_and_its_end_closes_it(servers):
    async def scenario():
        async with carried(servers) as (case, admin):
            await define(case.host, *RESOURCES)
            await define(case.virtual, *RESOURCES)
            await case.carried_by(admin)
            space = f"team-{case.name}"
            await case.virtual.create(NAMESPACES, "", space)
            backend = {"name": "db", "namespace": space, "port": 80}
            await case.virtual.create(HTTP_ROUTES, "default", "web", spec={"rules": [{"backendRefs": [backend]}]})

            async def leads_to(granted):
                route = await case.on_host(HTTP_ROUTES, "web")
                name = route["spec"]["rules"][0]["backendRefs"][0]["name"]
                return (name == host_name(case.name, space, "db")) == granted

            await case.on_host(HTTP_ROUTES, "web")
            assert await leads_to(granted=False)
            giver = {"group": HTTP_ROUTES.group, "kind": "HTTPRoute", "namespace": "default"}
            spec = {"from": [giver], "to": [{"group": "", "kind": "Service"}]}
            await case.virtual.create(REFERENCE_GRANTS, space, "open", spec=spec)
            await eventually(lambda: leads_to(granted=True))
            await case.virtual.delete(REFERENCE_GRANTS, space, "open")
            await eventually(lambda: leads_to(granted=False))

    asyncio.run(scenario())


def test_definitions_that_are_missing_are_nobodys_trouble_and_may_come_later(servers):
    async def scenario():
        async with carried(servers) as (case, admin):
            await case.carried_by(admin)
            await case.create_pod("web")
            await case.on_host(PODS, "web")
            assert await errors(admin) == []

            # First the virtual cluster has them: the user is told that the host has not.
            await define(case.virtual, *RESOURCES)
            spec = {"gatewayClassName": "shiny", "listeners": [LISTENER]}
            await case.virtual.create(GATEWAYS, "default", "edge", spec=spec)

            async def is_told():
                events = await case.virtual.list(EVENTS, "default")
                return [event for event in events if event["reason"] == "NotOnHost"]

            [event] = await eventually(is_told)
            assert event["involvedObject"]["name"] == "edge"

            # Then the host has them, too.
            await define(case.host, *RESOURCES)
            await eventually(lambda: case.host_object(GATEWAYS, "edge"))
            await case.host.create(GATEWAY_CLASSES, "", "shiny", spec={"controllerName": "example.org/c"})
            await eventually(lambda: case.virtual.find(GATEWAY_CLASSES, "", "shiny"))

            # Then the virtual cluster loses them, and with them what it had on the host.
            await undefine(case.virtual)

            async def host_is_empty():
                return not await case.host.list(GATEWAYS, case.name)

            await eventually(host_is_empty)
            await case.create_pod("other")
            await case.on_host(PODS, "other")

            async def is_in_order():
                return not await errors(admin)

            await eventually(is_in_order)

    asyncio.run(scenario())


def test_a_host_that_has_the_definitions_shows_them_to_no_cluster_that_has_not(servers):
    async def scenario():
        async with carried(servers) as (case, admin):
            await define(case.host, *RESOURCES)
            await case.host.create(GATEWAY_CLASSES, "", "shiny", spec={"controllerName": "example.org/c"})
            await case.carried_by(admin)
            await case.create_pod("web")
            await case.on_host(PODS, "web")
            assert await errors(admin) == []
            assert await case.virtual.list(EVENTS, "default") == []
            await define(case.virtual, *RESOURCES)
            await eventually(lambda: case.virtual.find(GATEWAY_CLASSES, "", "shiny"))

    asyncio.run(scenario())

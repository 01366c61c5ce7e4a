"""ConfigMaps and Secrets between real API servers: to the host while they are used, from the host where asked for."""

import asyncio
import base64
import contextlib
import tempfile
import uuid
from pathlib import Path

import pytest
from syncer_case import CONTAINER, Case, syncer
from two_api_servers import NAMESPACES, Api, eventually, started
from vcluster_syncer.model import CONFIGMAPS, PODS, SECRETS

PATIENCE = 60
BOTH = pytest.mark.parametrize("resource", [CONFIGMAPS, SECRETS])


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@contextlib.asynccontextmanager
async def carried(servers, **changes):
    """One tenant, carried."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            case = await Case.prepare(host, virtual, servers.first)
            async with syncer(Path(directory), servers.host) as admin:
                await case.carried_by(admin, **changes)
                yield case


def encoded(**values):
    return {name: base64.b64encode(text.encode()).decode() for name, text in values.items()}


async def has(api, resource, namespace, name, data):
    """Wait until an object has that data, and return it; None as data: until it is not there."""

    async def found():
        item = await api.find(resource, namespace, name)
        if item is None or data is None:
            return (item is None) == (data is None)
        return item if item.get("data") == data else None

    return await eventually(found, seconds=PATIENCE)


def volumes(name):
    """One that waits for the objects, and one that does without."""
    return [
        {"name": "map", "configMap": {"name": name}},
        {"name": "secret", "secret": {"secretName": name, "optional": True}},
    ]


@BOTH
def test_what_is_made_after_its_pod_comes_and_what_no_pod_uses_any_more_goes(servers, resource):
    async def scenario():
        async with carried(servers) as case:
            await case.create_pod("web", volumes=volumes("late"))
            pod = await case.on_host(PODS, "web")
            assert await case.host_object(resource, "late") is None
            await case.virtual.create(resource, "default", "late", data=encoded(a="1"))
            host = (await case.on_host(resource, "late"))["metadata"]["name"]
            named = [
                volume.get("configMap", {}).get("name") or volume.get("secret", {}).get("secretName")
                for volume in pod["spec"]["volumes"]
            ]
            assert host in named
            await case.virtual.patch(resource, "default", "late", {"data": encoded(a="2", b="3")})
            await has(case.host, resource, case.name, host, encoded(a="2", b="3"))
            await case.virtual.delete(PODS, "default", "web", grace=0)
            await has(case.host, resource, case.name, host, None)
            assert await case.virtual.find(resource, "default", "late")

    asyncio.run(scenario())


@BOTH
def test_a_sealed_one_that_is_made_anew_arrives(servers, resource):
    async def scenario():
        async with carried(servers) as case:
            await case.create_pod("web", volumes=volumes("sealed"))
            for value in ("1", "2"):
                await case.virtual.create(resource, "default", "sealed", data=encoded(a=value), immutable=True)
                host = (await case.on_host(resource, "sealed"))["metadata"]["name"]
                await has(case.host, resource, case.name, host, encoded(a=value))
                await case.virtual.delete(resource, "default", "sealed")

    asyncio.run(scenario())


def test_a_token_secret_of_the_virtual_cluster_reaches_a_pod(servers):
    async def scenario():
        async with carried(servers) as case:
            await case.create_pod("web", volumes=volumes("token"))
            account = {"annotations": {"kubernetes.io/service-account.name": "default"}}
            kind = "kubernetes.io/service-account-token"
            await case.virtual.create(
                SECRETS, "default", "token", metadata=account, type=kind, data=encoded(token="made by the controllers")
            )
            host = await case.on_host(SECRETS, "token")
            assert (host["type"], host["data"]) == ("Opaque", encoded(token="made by the controllers"))

    asyncio.run(scenario())


@BOTH
def test_what_is_to_be_there_always_is_on_the_host_without_a_pod(servers, resource):
    async def scenario():
        async with carried(servers) as case:
            always = {"annotations": {"vcluster-syncer/sync": "always"}}
            await case.virtual.create(resource, "default", "kept", metadata=always, data=encoded(a="1"))
            host = (await case.on_host(resource, "kept"))["metadata"]["name"]
            no = {"metadata": {"annotations": {"vcluster-syncer/sync": None}}}
            await case.virtual.patch(resource, "default", "kept", no)
            await has(case.host, resource, case.name, host, None)

    asyncio.run(scenario())


@BOTH
def test_what_a_tenant_asks_for_is_shown_as_the_host_has_it(servers, resource):
    async def scenario():
        async with Api.open(servers.host) as host:
            shared = f"shared-{uuid.uuid4().hex[:6]}"
            await host.create(NAMESPACES, "", shared)
            await host.create(resource, shared, "before", data=encoded(a="1"))
            shown = {f"{shared}/*": "default/*", f"{shared}/before": "team/other"}
            async with carried(servers, from_host={resource.plural: shown}) as case:
                await has(case.virtual, resource, "default", "before", encoded(a="1"))
                await host.create(resource, shared, "later", data=encoded(a="2"))
                await has(case.virtual, resource, "default", "later", encoded(a="2"))
                await case.virtual.patch(resource, "default", "later", {"data": encoded(a="mine")})
                await has(case.virtual, resource, "default", "later", encoded(a="2"))
                await case.virtual.delete(resource, "default", "later")
                await has(case.virtual, resource, "default", "later", encoded(a="2"))
                await host.patch(resource, shared, "later", {"data": encoded(a="3")})
                await has(case.virtual, resource, "default", "later", encoded(a="3"))

                await case.create_pod("web", containers=[{**CONTAINER, "envFrom": sources("later")}])
                copy = (await case.on_host(resource, "later"))["metadata"]["name"]
                await has(host, resource, case.name, copy, encoded(a="3"))

                await host.delete(resource, shared, "later")
                await has(case.virtual, resource, "default", "later", None)
                await has(host, resource, case.name, copy, None)

                if not await case.virtual.find(NAMESPACES, "", "team"):
                    assert await case.virtual.find(resource, "team", "other") is None
                    await case.virtual.create(NAMESPACES, "", "team")
                await has(case.virtual, resource, "team", "other", encoded(a="1"))

    asyncio.run(scenario())


def sources(name):
    return [{"configMapRef": {"name": name}}, {"secretRef": {"name": name}}]

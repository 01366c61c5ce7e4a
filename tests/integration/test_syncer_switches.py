"""Kinds that a configuration turns on, between real API servers, which validate all that is written."""

import asyncio
import contextlib
import tempfile
import uuid
from pathlib import Path

import pytest
from syncer_case import Case, syncer
from two_api_servers import NAMESPACES, SERVICE_ACCOUNTS, Api, eventually, started
from vcluster_syncer.fields import ConfigError
from vcluster_syncer.kube.client import Client
from vcluster_syncer.kube.errors import NotFound
from vcluster_syncer.model import (
    INGRESS_CLASSES,
    INGRESSES,
    NETWORK_POLICIES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    PRIORITY_CLASSES,
    RUNTIME_CLASSES,
    SECRETS,
)
from vcluster_syncer.naming import host_name
from vcluster_syncer.switches import host_rules, selected
from vcluster_syncer.translate import KINDS

CARRIED = (INGRESSES, NETWORK_POLICIES, POD_DISRUPTION_BUDGETS)
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@contextlib.asynccontextmanager
async def carried(servers, *on):
    """One tenant, carried with some switches on; what it made in the cluster's scope is gone afterwards."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            case = await Case.prepare(host, virtual, servers.first)
            for resource in CARRIED:
                for obj in await virtual.list(resource):
                    await virtual.delete(resource, obj["metadata"]["namespace"], obj["metadata"]["name"])
            async with syncer(Path(directory), servers.host, on=on) as admin:
                await case.carried_by(admin)
                yield case


@contextlib.asynccontextmanager
async def made(api, resource, name, **fields):
    """A cluster-scoped object that ends with the test, since servers are shared."""
    await api.create(resource, "", name, **fields)
    try:
        yield
    finally:
        with contextlib.suppress(NotFound):
            await api.delete(resource, "", name)


def unique(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:6]}"


async def vanished(api, resource, name, namespace=""):
    async def is_gone():
        return await api.find(resource, namespace, name) is None

    await eventually(is_gone)


def test_an_ingress_is_served_by_the_host_and_its_address_comes_back(servers):
    async def scenario():
        async with carried(servers, "to_host.ingresses") as case:
            await case.virtual.create(SECRETS, "default", "cert", type="Opaque", stringData={"k": "v"})
            spec = {
                "ingressClassName": "nginx",
                "rules": [{"host": "a.example.org", "http": {"paths": [{"pathType": "Prefix", "path": "/"}]}}],
                "tls": [{"hosts": ["a.example.org"], "secretName": "cert"}],
            }
            spec["rules"][0]["http"]["paths"][0]["backend"] = BACKEND
            await case.virtual.create(INGRESSES, "default", "web", spec=spec)
            host = await case.on_host(INGRESSES, "web")
            secret = await case.on_host(SECRETS, "cert")
            assert host["spec"]["tls"][0]["secretName"] == secret["metadata"]["name"]
            [path] = host["spec"]["rules"][0]["http"]["paths"]
            assert path["backend"]["service"]["name"] == host_name(case.name, "default", "web")
            status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
            await case.host.patch(INGRESSES, case.name, host["metadata"]["name"], status, "status")

            async def has_address():
                virtual = await case.virtual.get(INGRESSES, "default", "web")
                return virtual["status"]["loadBalancer"].get("ingress") == [{"ip": "192.0.2.7"}]

            await eventually(has_address)
            await case.virtual.delete(INGRESSES, "default", "web")
            await vanished(case.host, INGRESSES, host["metadata"]["name"], case.name)
            await vanished(case.host, SECRETS, secret["metadata"]["name"], case.name)

    asyncio.run(scenario())


def test_a_kind_that_is_off_stays_in_the_virtual_cluster(servers):
    async def scenario():
        async with carried(servers, "to_host.network_policies") as case:
            await case.virtual.create(INGRESSES, "default", "web", spec={"defaultBackend": BACKEND})
            await case.virtual.create(NETWORK_POLICIES, "default", "after", spec={"podSelector": {}})
            await case.on_host(NETWORK_POLICIES, "after")
            await case.create_pod("after")
            await case.on_host(PODS, "after")
            assert await case.host.list(INGRESSES, case.name) == []

    asyncio.run(scenario())


def test_a_policy_that_admits_a_namespace_follows_its_labels_and_its_pods(servers):
    async def scenario():
        async with carried(servers, "to_host.network_policies") as case:
            space = unique("team")
            await case.virtual.create(NAMESPACES, "", space, metadata={"labels": {"env": "prod"}})
            await case.virtual.create(SERVICE_ACCOUNTS, space, "default")
            containers = [{"name": "main", "image": "registry.example/app:1"}]
            await case.virtual.create(PODS, space, "client", spec={"containers": containers})
            chosen = {"namespaceSelector": {"matchLabels": {"env": "prod"}}}
            spec = {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [chosen]}]}
            await case.virtual.create(NETWORK_POLICIES, "default", "db", spec=spec)
            policy = await case.on_host(NETWORK_POLICIES, "db")
            wanted = policy["spec"]["ingress"][0]["from"][0]["podSelector"]
            query = ",".join(f"{key}={value}" for key, value in wanted["matchLabels"].items())

            async def admitted():
                return [pod["metadata"]["name"] for pod in await case.host.list(PODS, case.name, labels=query)]

            await eventually(admitted)
            assert await admitted() == [host_name(case.name, space, "client")]
            await case.virtual.patch(NAMESPACES, "", space, {"metadata": {"labels": {"env": "test"}}})

            async def nobody():
                return not await admitted()

            await eventually(nobody)

    asyncio.run(scenario())


def test_a_budget_is_a_number_of_pods_as_the_virtual_cluster_counts_them(servers):
    async def scenario():
        async with carried(servers, "to_host.pod_disruption_budgets") as case:
            spec = {"maxUnavailable": "50%", "selector": {"matchLabels": {"app": "db"}}}
            await case.virtual.create(POD_DISRUPTION_BUDGETS, "default", "db", spec=spec)
            host = await case.on_host(POD_DISRUPTION_BUDGETS, "db")
            assert host["spec"]["maxUnavailable"] == "50%"
            counted = {"desiredHealthy": 2, "currentHealthy": 3, "expectedPods": 4, "disruptionsAllowed": 1}
            status = {"status": {**counted, "observedGeneration": 1, "conditions": []}}
            await case.virtual.patch(POD_DISRUPTION_BUDGETS, "default", "db", status, "status")

            async def is_a_number():
                spec = (await case.on_host(POD_DISRUPTION_BUDGETS, "db"))["spec"]
                return spec.get("minAvailable") == 2 and "maxUnavailable" not in spec

            await eventually(is_a_number)
            virtual = await case.virtual.get(POD_DISRUPTION_BUDGETS, "default", "db")
            assert virtual["status"]["expectedPods"] == 4

    asyncio.run(scenario())


async def admitted(case, **classes):
    """A pod, as soon as admission knows its classes: it learns of new ones a moment after they are made."""
    return await eventually(lambda: case.create_pod("web", **classes))


def test_a_pod_runs_with_the_tenants_own_priority_class(servers):
    async def scenario():
        async with carried(servers, "to_host.priority_classes") as case:
            name = unique("high")
            async with made(case.virtual, PRIORITY_CLASSES, name, value=1000, globalDefault=False):
                await admitted(case, priorityClassName=name)
                pod = await case.on_host(PODS, "web")
                there = host_name(case.name, "", name)
                assert pod["spec"]["priorityClassName"] == there
                assert pod["spec"]["priority"] == 1000
                assert (await case.host.get(PRIORITY_CLASSES, "", there))["value"] == 1000
            await vanished(case.host, PRIORITY_CLASSES, there)

    asyncio.run(scenario())


def test_classes_of_the_host_are_seen_used_and_gone_with_it(servers):
    async def scenario():
        switches = [f"from_host.{name}" for name in ("ingress_classes", "priority_classes", "runtime_classes")]
        async with Api.open(servers.host) as host:
            name = unique("theirs")
            async with (
                made(host, INGRESS_CLASSES, name, spec={"controller": "example.org/c"}),
                made(host, PRIORITY_CLASSES, name, value=7, description="d"),
                made(host, RUNTIME_CLASSES, name, handler="gvisor"),
                carried(servers, *switches) as case,
            ):
                classes = (INGRESS_CLASSES, PRIORITY_CLASSES, RUNTIME_CLASSES)
                for resource in classes:
                    assert await case.virtual.find(resource, "", name), "the tenant is ready, its classes are not there"
                await admitted(case, priorityClassName=name, runtimeClassName=name)
                pod = await case.on_host(PODS, "web")
                assert (pod["spec"]["priorityClassName"], pod["spec"]["runtimeClassName"]) == (name, name)

                await case.virtual.patch(PRIORITY_CLASSES, "", name, {"description": "mine"})
                await case.virtual.delete(RUNTIME_CLASSES, "", name)

                async def is_put_back():
                    found = await case.virtual.get(PRIORITY_CLASSES, "", name)
                    return found["description"] == "d" and await case.virtual.find(RUNTIME_CLASSES, "", name)

                await eventually(is_put_back)
                await host.delete(RUNTIME_CLASSES, "", name)
                await host.create(RUNTIME_CLASSES, "", name, handler="kata")

                async def is_the_new_one():
                    return (await case.virtual.get(RUNTIME_CLASSES, "", name))["handler"] == "kata"

                await eventually(is_the_new_one)
                for resource in classes:
                    await host.delete(resource, "", name)
                    await vanished(case.virtual, resource, name)

    asyncio.run(scenario())


def test_a_service_account_lends_its_name_to_host_pods(servers):
    async def scenario():
        async with carried(servers, "to_host.service_accounts") as case:
            name = unique("builder")
            annotations = {"annotations": {"cloud.example.org/role": "r"}}
            await case.virtual.create(SERVICE_ACCOUNTS, "default", name, metadata=annotations)
            await case.create_pod("web", serviceAccountName=name)
            pod = await case.on_host(PODS, "web")
            account = await case.on_host(SERVICE_ACCOUNTS, name)
            assert pod["spec"]["serviceAccountName"] == account["metadata"]["name"]
            assert account["metadata"]["annotations"]["cloud.example.org/role"] == "r"
            assert account["automountServiceAccountToken"] is False
            await case.virtual.delete(SERVICE_ACCOUNTS, "default", name)
            await vanished(case.host, SERVICE_ACCOUNTS, account["metadata"]["name"], case.name)

    asyncio.run(scenario())


def everything():
    """All switches that can be on together."""
    on = {}
    for path in [kind.switch.path for kind in KINDS if kind.switch is not None]:
        with contextlib.suppress(ConfigError):
            # Some go one way or the other, never both.
            selected(KINDS, on | {path: True})
            on[path] = True
    return on


def right_of(request):
    """What RBAC calls a request: group, resource with its subresource, verb."""
    path, _, query = request.path.partition("?")
    parts = path.strip("/").split("/")
    group, parts = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if parts[0] == "namespaces" and len(parts) > 2:
        parts = parts[2:]
    resource = "/".join([parts[0], *parts[2:]])
    if request.method == "GET":
        return group, resource, "watch" if "watch=1" in query else "get" if len(parts) > 1 else "list"
    return group, resource, {"POST": "create", "PATCH": "patch", "DELETE": "delete", "PUT": "update"}[request.method]


@pytest.mark.parametrize("on", [{}, everything()], ids=["default", "everything"])
def test_nothing_is_done_on_the_host_without_a_right_that_is_asked_for(servers, monkeypatch, on):
    used, tests_own = set(), []
    send = Client._request

    def recorded(client, request, *arguments, **keywords):
        if client._base.endswith(f":{servers.host.port}") and client not in tests_own:
            used.add(right_of(request))
        return send(client, request, *arguments, **keywords)

    def known(api, client):
        api.client = client
        tests_own.append(client)

    async def scenario():
        async with carried(servers, *on) as case:
            await case.virtual.create(SECRETS, "default", "password", type="Opaque", stringData={"k": "v"})
            environment = [{"secretRef": {"name": "password"}}]
            container = {"name": "main", "image": "registry.example/app:1", "envFrom": environment}
            await case.create_pod("web", containers=[container])
            await case.virtual.create(INGRESSES, "default", "web", spec={"defaultBackend": BACKEND})
            await case.virtual.create(NETWORK_POLICIES, "default", "web", spec={"podSelector": {}})
            await case.run("web")
            await case.virtual.patch(PODS, "default", "web", {"metadata": {"labels": {"a": "b"}}})
            pod = await case.on_host(PODS, "web")

            async def has_label():
                found = await case.host.get(PODS, case.name, pod["metadata"]["name"])
                return found["metadata"]["labels"].get("a") == "b"

            await eventually(has_label)
            await case.virtual.delete(PODS, "default", "web", grace=0)
            await vanished(case.host, PODS, pod["metadata"]["name"], case.name)

    granted = {
        (rule.group, resource, verb)
        for rule in host_rules(selected(KINDS, on))
        for resource in rule.resources
        for verb in rule.verbs
    }
    monkeypatch.setattr(Client, "_request", recorded)
    monkeypatch.setattr(Api, "__init__", known)
    asyncio.run(scenario())
    assert ("", "pods", "create") in used
    assert ("", "pods", "delete") in used
    assert used <= granted

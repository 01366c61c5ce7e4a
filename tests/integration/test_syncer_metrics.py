"""What pods and nodes use, told by a host with a metrics server, as virtual API servers pass it on."""

import asyncio
import contextlib
import json
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest
from metrics_server import NAME, ROOT, front_proxies, measured, told
from syncer_case import CONTAINER, TENANT, Case, syncer
from two_api_servers import VERSION, Api, _binary, eventually, started
from vcluster_syncer.kube.errors import KubeError, NotFound, ServerFailed
from vcluster_syncer.kube.requests import Request
from vcluster_syncer.model import API_SERVICES, NODE_METRICS, NODES, POD_METRICS, PODS, SERVICES, Resource

from pytest_vcluster.toolchain import Component
from pytest_vcluster.toolchain.versions import KNOWN_PATCH

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with started(tmp_path_factory.mktemp("servers")) as running:
        yield running


@contextlib.asynccontextmanager
async def one_tenant(servers, **changes):
    """A tenant of a host that measures: the case, and what is measured."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        directory = Path(made)
        async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
            case = await Case.prepare(host, virtual, servers.first)
            async with measured(host, directory) as meter, syncer(directory, servers.host) as admin:
                await case.carried_by(admin, metrics=told(front_proxies(servers.first), directory, **changes))
                yield case, meter


@contextlib.asynccontextmanager
async def a_neighbour(servers, host, admin, directory):
    async with Api.open(servers.second) as virtual:
        case = await Case.prepare(host, virtual, servers.second)
        await case.carried_by(admin, metrics=told(front_proxies(servers.second), directory))
        yield case


async def ask(api, path, **query):
    asked = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    return await api.client.send(Request(method="GET", path=f"{path}?{asked}" if asked else path))


def kubectl(server, *arguments):
    command = [str(_binary(Component.KUBECTL, VERSION)), f"--kubeconfig={server.kubeconfig}", *arguments]
    with tempfile.TemporaryDirectory() as cache:
        run = subprocess.run(
            [*command, f"--cache-dir={cache}"], capture_output=True, text=True, check=False, timeout=60
        )
    assert run.returncode == 0, run.stderr
    return run.stdout


async def measure_node(case, meter, cpu):
    meter.measure_node(await case.host.get(NODES, "", f"{case.name}-node-1"), cpu)


async def names(api, path=f"{ROOT}/pods", **query):
    return [item["metadata"]["name"] for item in (await ask(api, path, **query))["items"]]


def test_an_api_server_finds_the_api_and_says_so(servers):
    async def scenario():
        async with one_tenant(servers) as (case, _):
            virtual = case.virtual
            served = await ask(virtual, ROOT)
            found = {one["name"]: (one["kind"], one["namespaced"], one["verbs"]) for one in served["resources"]}
            verbs = ["get", "list"]
            assert found == {"pods": ("PodMetrics", True, verbs), "nodes": ("NodeMetrics", False, verbs)}
            groups = [group["name"] for group in (await ask(virtual, "/apis"))["groups"]]
            assert "metrics.k8s.io" in groups
            accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            request = Request(method="GET", path="/apis", accept=accept)

            items = (await virtual.client.send(request))["items"]
            [group] = [item for item in items if item["metadata"]["name"] == "metrics.k8s.io"]
            [version] = group["versions"]
            assert version["freshness"] == "Current"
            assert [one["responseKind"]["kind"] for one in version["resources"]] == ["PodMetrics", "NodeMetrics"]
            # Nothing that comes about later: a baseline would not know it.
            assert "apis/metrics.k8s.io/v1beta1" not in (await ask(virtual, "/openapi/v3"))["paths"]

            # The Service that leads there is the API server's business alone.
            service = await virtual.get(SERVICES, "kube-system", "host-metrics")
            assert service["spec"]["type"] == "ExternalName"
            await case.create_pod("web")
            await case.on_host(PODS, "web")
            assert await case.host_objects(SERVICES, "host-metrics", "kube-system") == []

    asyncio.run(scenario())


def test_pods_and_nodes_are_told_under_their_own_names_and_labels(servers):
    async def scenario():
        async with one_tenant(servers) as (case, meter):
            virtual = case.virtual
            for name, tier in (("web", "front"), ("db", "back")):
                labels = {"labels": {"app": name, "tier": tier}}
                await virtual.create(PODS, "default", name, metadata=labels, spec={"containers": [CONTAINER]})
                meter.measure(await case.run(name), main="120m", sidecar="500m")
            stranger = {"metadata": {"name": "stranger", "namespace": case.name, "labels": {"app": "web"}}}
            meter.measure(stranger, main="1")
            await measure_node(case, meter, "2")
            meter.measure_node({"metadata": {"name": "not-ours", "labels": {TENANT: "another"}}}, "4")

            web = await virtual.get(POD_METRICS, "default", "web")
            assert web["containers"] == [{"name": "main", "usage": {"cpu": "120m", "memory": "10Mi"}}]
            assert (web["kind"], web["timestamp"], web["window"]) == ("PodMetrics", "2026-11-21T10:00:00Z", "15s")
            assert web["metadata"]["labels"] == {"app": "web", "tier": "front"}
            assert await names(virtual) == ["db", "web"]
            assert await names(virtual, POD_METRICS.path("default")) == ["db", "web"]
            assert await names(virtual, POD_METRICS.path("kube-system")) == []
            for selector, found in [
                ("app=web", ["web"]),
                ("tier!=front", ["db"]),
                ("app in (web, db),tier", ["db", "web"]),
                ("tier notin (front)", ["db"]),
                ("vcluster-syncer/tenant", []),
            ]:
                assert await names(virtual, labelSelector=selector) == found, selector
            assert await names(virtual, fieldSelector="metadata.name=web") == ["web"]
            node = await virtual.get(NODE_METRICS, "", "node-1")
            assert node["usage"]["cpu"] == "2"
            assert await names(virtual, f"{ROOT}/nodes") == ["node-1"]

            for path in (f"{ROOT}/pods", f"{ROOT}/nodes", POD_METRICS.path("default", "web")):
                said = json.dumps(await ask(virtual, path))
                for of_the_host in (case.name, "stranger", "not-ours", "vcluster-syncer", "sidecar"):
                    assert of_the_host not in said, (path, said)
            # kubectl asks for a table first, and takes what it gets.
            table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
            request = Request(method="GET", path=f"{ROOT}/pods", accept=table)
            assert len((await virtual.client.send(request))["items"]) == 2
            told = await asyncio.to_thread(kubectl, case.server, "top", "pods", "-l", "app=web", "--no-headers")
            assert told.split() == ["web", "120m", "10Mi"]
            told = await asyncio.to_thread(kubectl, case.server, "top", "nodes", "--no-headers")
            assert told.split()[:2] == ["node-1", "2000m"]
            told = await asyncio.to_thread(kubectl, case.server, "get", "podmetrics", "-o", "name")
            assert told.split() == ["podmetrics.metrics.k8s.io/db", "podmetrics.metrics.k8s.io/web"]
            # A pod that is not measured yet, one that does not exist, and the host's own names.
            await case.create_pod("new")
            host_name = (await case.run("new"))["metadata"]["name"]
            for name in ("new", "none", host_name, "stranger"):
                with pytest.raises(NotFound, match=f'pods.metrics.k8s.io "{name}" not found'):
                    await virtual.get(POD_METRICS, "default", name)
            with pytest.raises(NotFound):
                await virtual.get(NODE_METRICS, "", f"{case.name}-node-1")
            for query in ("watch=1", "labelSelector=a+b"):
                with pytest.raises(KubeError) as refused:
                    await ask(virtual, f"{ROOT}/pods?{query}")
                assert refused.value.status in (400, 405)

    asyncio.run(scenario())


def test_neighbours_are_told_nothing_of_each_other(servers):
    async def scenario():
        with tempfile.TemporaryDirectory(dir="/tmp") as made:
            directory = Path(made)
            async with Api.open(servers.host) as host, Api.open(servers.first) as virtual:
                first = await Case.prepare(host, virtual, servers.first)
                async with measured(host, directory) as meter, syncer(directory, servers.host) as admin:
                    await first.carried_by(admin, metrics=told(front_proxies(servers.first), directory))
                    async with a_neighbour(servers, host, admin, directory) as second:
                        for case, cpu in ((first, "100m"), (second, "200m")):
                            await case.create_pod("web")
                            meter.measure(await case.run("web"), main=cpu)
                            await measure_node(case, meter, cpu)
                        await first.create_pod("secret")
                        meter.measure(await first.run("secret"), main="7m")
                        assert await names(second.virtual) == ["web"]
                        [web] = (await ask(second.virtual, f"{ROOT}/pods"))["items"]
                        assert web["containers"][0]["usage"]["cpu"] == "200m"
                        assert (await first.virtual.get(POD_METRICS, "default", "web"))["containers"][0]["usage"][
                            "cpu"
                        ] == "100m"
                        with pytest.raises(NotFound):
                            await second.virtual.get(POD_METRICS, "default", "secret")
                        [node] = (await ask(second.virtual, f"{ROOT}/nodes"))["items"]
                        assert node["usage"]["cpu"] == "200m"
                        assert {method for method, _ in meter.asked} == {"GET"}
                        assert not [path for _, path in meter.asked if "watch" in path]

    asyncio.run(scenario())


def test_a_host_that_measures_no_more_is_told_as_such(servers):
    async def scenario():
        async with one_tenant(servers) as (case, meter):
            virtual = case.virtual
            await case.create_pod("web")
            meter.measure(await case.run("web"), main="120m")
            assert await names(virtual) == ["web"]
            await case.host.delete(API_SERVICES, "", NAME)

            async def refusal():
                try:
                    await ask(virtual, f"{ROOT}/pods")
                except ServerFailed as error:
                    return error
                return None

            error = await eventually(refusal)
            assert (error.status, error.reason) == (503, "ServiceUnavailable")
            for path in (f"{ROOT}/nodes", POD_METRICS.path("default", "web")):
                with pytest.raises(ServerFailed, match="the host does not serve metrics.k8s.io"):
                    await ask(virtual, path)
            # The virtual API server finds the API all the same: namespaces end only where all of them are found.
            assert (await ask(virtual, ROOT))["resources"]
            service = await virtual.get(API_SERVICES, "", NAME)
            assert [one["status"] for one in service["status"]["conditions"] if one["type"] == "Available"] == ["True"]

    asyncio.run(scenario())


def test_only_what_is_turned_on_is_told(servers):
    async def scenario():
        async with one_tenant(servers, nodes=False) as (case, meter):
            await measure_node(case, meter, "2")
            served = await ask(case.virtual, ROOT)
            assert [one["name"] for one in served["resources"]] == ["pods"]
            with pytest.raises(NotFound):
                await ask(case.virtual, f"{ROOT}/nodes")
            assert meter.asked == []

    asyncio.run(scenario())


@pytest.mark.versions
@pytest.mark.parametrize(("host", "virtual"), [("1.35", "1.37"), ("1.37", "1.35")])
def test_other_versions_hand_it_on_as_well(tmp_path, host, virtual):
    async def scenario(servers):
        async with one_tenant(servers) as (case, meter):
            await case.create_pod("web")
            meter.measure(await case.run("web"), main="120m")
            assert await names(case.virtual, labelSelector="!app") == ["web"]

    with started(tmp_path, host=KNOWN_PATCH[host], virtual=KNOWN_PATCH[virtual]) as servers:
        asyncio.run(scenario(servers))


@contextlib.contextmanager
def controllers(server, directory):
    """The controllers that it takes to scale a Deployment."""
    names = "deployment-controller,replicaset-controller,horizontal-pod-autoscaler-controller"
    command = [
        str(_binary(Component.KUBE_CONTROLLER_MANAGER, VERSION)),
        f"--kubeconfig={server.kubeconfig}",
        f"--controllers={names}",
        "--horizontal-pod-autoscaler-sync-period=1s",
        "--leader-elect=false",
        "--secure-port=0",
    ]
    log = directory / "controllers.log"
    with log.open("ab") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as process:
        try:
            yield
        except BaseException:
            # For pytest to show.
            print(log.read_text()[-3000:])
            raise
        finally:
            process.kill()


def test_an_autoscaler_goes_by_the_figures(servers, tmp_path):
    container = {**CONTAINER, "resources": {"requests": {"cpu": "100m"}}}
    deployment = {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "scaled"}},
        "template": {"metadata": {"labels": {"app": "scaled"}}, "spec": {"containers": [container]}},
    }
    target = {"type": "Utilization", "averageUtilization": 50}
    autoscaler = {
        "minReplicas": 1,
        "maxReplicas": 3,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"},
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }

    async def scenario():
        async with one_tenant(servers) as (case, meter):
            virtual = case.virtual
            with controllers(servers.first, tmp_path):
                await virtual.create(DEPLOYMENTS, "default", "scaled", spec=deployment)
                try:
                    [pod] = await eventually(lambda: virtual.list(PODS, "default", labels="app=scaled"), seconds=60)
                    host_pod = await case.run(pod["metadata"]["name"])
                    meter.measure(host_pod, main="40m")
                    await virtual.create(AUTOSCALERS, "default", "scaled", spec=autoscaler)

                    async def is_measured():
                        status = (await virtual.get(AUTOSCALERS, "default", "scaled")).get("status") or {}
                        found = status.get("currentMetrics") or [{}]
                        current = (found[0].get("resource") or {}).get("current") or {}
                        return current.get("averageUtilization") == 40

                    await eventually(is_measured, seconds=60)
                    assert (await virtual.get(DEPLOYMENTS, "default", "scaled"))["spec"]["replicas"] == 1
                    meter.measure(host_pod, main="200m")

                    async def is_scaled():
                        return (await virtual.get(DEPLOYMENTS, "default", "scaled"))["spec"]["replicas"] == 3

                    await eventually(is_scaled, seconds=60)
                    assert case.name not in json.dumps(await virtual.get(AUTOSCALERS, "default", "scaled"))
                finally:
                    await virtual.delete(AUTOSCALERS, "default", "scaled")
                    await virtual.delete(DEPLOYMENTS, "default", "scaled")

    asyncio.run(scenario())

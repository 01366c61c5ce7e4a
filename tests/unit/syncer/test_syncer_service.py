import asyncio
import contextlib
import json
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import aiohttp
import pytest
import yaml
from engine_parts import kind
from fake_api import FakeApi, answering
from vcluster_syncer.config import Config
from vcluster_syncer.engine.timing import Backoff, Timing
from vcluster_syncer.service import serve


@pytest.fixture
def directory():
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        yield Path(made)


def kubeconfig(path, url):
    context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
    clusters, users = [{"name": "c", "cluster": {"server": url}}], [{"name": "c", "user": {"token": "t"}}]
    document = {"current-context": "c", "contexts": [context], "clusters": clusters, "users": users}
    path.write_text(yaml.safe_dump(document))
    return path


def description(directory, name="one", **changes):
    return {
        "name": name,
        "virtual": {"kubeconfig": str(directory / "virtual")},
        "host_namespace": name,
        "kubernetes_service_ip": "10.0.0.1",
        **changes,
    }


@contextlib.asynccontextmanager
async def running(directory, timing=None):
    """A syncer between two fake API servers; yields both and how to call its admin API."""
    path = directory / "admin.sock"
    async with FakeApi.open() as host, FakeApi.open() as virtual:
        kubeconfig(directory / "virtual", virtual.url)
        config = Config(host_kubeconfig=kubeconfig(directory / "host", host.url), admin_socket=path)
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(config, [kind()], stop=stop, timing=timing))
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(path))) as session:

            async def call(method, url, body=None):
                async with session.request(method, f"http://it{url}", json=body) as response:
                    return response.status, await response.text()

            async with asyncio.timeout(30):
                while not serving.done():
                    with contextlib.suppress(aiohttp.ClientError):
                        if (await call("GET", "/healthz"))[0] == 200:
                            break
                    await asyncio.sleep(0.001)
            yield host, virtual, call
        stop.set()
        await serving
        assert not path.exists()


def test_tenants_come_and_go_through_the_admin_api(directory):
    async def main():
        async with running(directory) as (host, virtual, call):
            assert await call("GET", "/healthz") == (200, "ok")
            await virtual.put("widgets", "a")
            assert await call("POST", "/v1/tenants", description(directory)) == (201, '{"name":"one"}')
            assert host.names("widgets") == ["host-a"]
            status, text = await call("GET", "/v1/tenants")
            [told] = json.loads(text)
            assert (status, told["name"], told["ready"], told["errors"]) == (200, "one", True, [])
            assert told["kinds"]["widgets"]["virtual"] == told["kinds"]["widgets"]["host"] == 1
            assert await call("DELETE", "/v1/tenants/one") == (200, '{"name":"one"}')
            assert await call("GET", "/v1/tenants") == (200, "[]")
            assert host.names("widgets") == ["host-a"]

    asyncio.run(main())


def test_metrics_tell_of_every_tenant_and_of_the_process(directory):
    async def main():
        async with running(directory) as (_host, virtual, call):
            assert (await call("POST", "/v1/tenants", description(directory)))[0] == 201
            await virtual.put("widgets", "a")
            async with asyncio.timeout(30):
                carried = 'vcluster_syncer_sync_seconds_count{kind="widgets",direction="to_host"} 1'
                while carried not in (text := (await call("GET", "/metrics"))[1]).splitlines():
                    await asyncio.sleep(0.001)
            assert 'vcluster_syncer_queue_keys{tenant="one",state="delayed"} 0' in text
            assert 'vcluster_syncer_tenants{ready="true"} 1' in text
            assert 'vcluster_syncer_objects{kind="widgets",side="virtual"} 1' in text
            assert 'vcluster_syncer_passes_total{kind="widgets"} ' in text
            assert "process_cpu_seconds_total " in text
            # What Prometheus insists on: each name is described once, before its values, and the text ends a line.
            described = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
            assert len(described) == len(set(described))
            assert text.endswith("\n")

    asyncio.run(main())


def test_health_names_the_host_and_the_tenants_that_are_not_followed(directory):
    async def main():
        quick = Timing(steady=0.05, reconnect=Backoff(first=0.001, longest=0.01))
        async with running(directory, quick) as (host, virtual, call):
            assert (await call("POST", "/v1/tenants", description(directory)))[0] == 201
            assert await call("GET", "/healthz") == (200, "ok")
            for api in (host, virtual):
                api.fail("GET", "widgets", *[answering(500, "InternalError", "etcd is away")] * 9999, watch=True)
                api.end_watches()
            async with asyncio.timeout(30):
                while len((answer := await call("GET", "/healthz"))[1].splitlines()) < 2:
                    await asyncio.sleep(0.001)
            assert answer[0] == 503
            of_host, of_tenant = answer[1].splitlines()
            assert of_host.startswith("host: ")
            assert of_tenant.startswith("tenant one: widgets: ")
            # Restarting the syncer would not help.
            assert await call("GET", "/livez") == (200, "ok")
            host.faults.clear()
            virtual.faults.clear()
            async with asyncio.timeout(30):
                while (await call("GET", "/healthz"))[0] != 200:
                    await asyncio.sleep(0.01)
            assert (
                'vcluster_syncer_watch_restarts_total{side="host",kind="widgets"} '
                in (await call("GET", "/metrics"))[1]
            )

    asyncio.run(main())


def test_mistakes_are_told_with_their_status(directory):
    async def main():
        async with running(directory) as (_host, _virtual, call):
            assert (await call("DELETE", "/v1/tenants/none"))[0] == 404
            assert (await call("GET", "/v1/tenants/none/pending"))[0] == 404
            status, text = await call("POST", "/v1/tenants", description(directory, host_namespace=""))
            assert (status, json.loads(text)["error"]) == (400, "tenant: host_namespace is missing")
            nowhere = description(directory, virtual={"kubeconfig": "/nowhere"})
            status, text = await call("POST", "/v1/tenants", nowhere)
            assert (status, "kubeconfig /nowhere can't be read" in text) == (400, True)
            assert (await call("POST", "/v1/tenants", description(directory)))[0] == 201
            status, text = await call("POST", "/v1/tenants", description(directory))
            assert (status, "already carried" in text) == (409, True)

    asyncio.run(main())


def test_the_admin_socket_is_private_and_a_left_over_one_is_replaced(directory):
    path = directory / "admin.sock"

    async def main():
        async with running(directory) as (_host, _virtual, call):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert (await call("GET", "/healthz"))[0] == 200

    # As a syncer leaves it that was killed.
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    asyncio.run(main())


def config_file(directory, **changes):
    path = directory / "config.json"
    host = kubeconfig(directory / "host", "http://127.0.0.1:1")
    document = {"host": {"kubeconfig": str(host)}, "admin": {"unix": str(directory / "admin.sock")}, **changes}
    path.write_text(json.dumps(document))
    return path


def started(config, *arguments, **keywords):
    command = [sys.executable, "-m", "vcluster_syncer", "--config", str(config), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **keywords)


def test_it_ends_when_its_parent_closes_stdin(directory):
    with started(config_file(directory), "--until-stdin-closes", stdin=subprocess.PIPE) as process:
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert not (directory / "admin.sock").exists()


def test_it_ends_on_sigterm_though_the_host_is_away(directory):
    with started(config_file(directory), stdin=subprocess.DEVNULL) as process:
        for line in process.stderr:
            if "ready; admin API" in line:
                process.terminate()
        assert process.wait(60) == 0


def test_a_bad_configuration_is_one_line_and_status_2(directory):
    with started(config_file(directory, host={}), stdin=subprocess.DEVNULL) as process:
        _, log = process.communicate(timeout=60)
    assert process.returncode == 2
    assert log.splitlines() == [f"vcluster-syncer: {directory}/config.json.host: kubeconfig is missing"]

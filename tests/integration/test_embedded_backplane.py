"""Real control planes, cloned from a template, on a real embedded host; without the run service and the plugin."""

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

import pytest

from pytest_vcluster.controlplane.http import Client
from pytest_vcluster.controlplane.template import Template
from pytest_vcluster.errors import ApiError, ProvisionError, ToolchainError
from pytest_vcluster.hosts import opening
from pytest_vcluster.service.processes import Processes
from pytest_vcluster.settings import DEFAULT_NODES, NodeShape, Settings
from pytest_vcluster.toolchain.model import cache_folder
from pytest_vcluster.toolchain.versions import KNOWN_PATCH

VERSION = KNOWN_PATCH["1.36"]
SETTINGS = Settings(versions=(VERSION,))


@pytest.fixture
def directory():
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(prefix="v", dir="/tmp") as made:
        yield Path(made)


@contextlib.asynccontextmanager
async def opened(directory, settings=SETTINGS):
    pids = []
    processes = Processes(directory / "logs", register=pids.append)
    async with opening.opened(
        settings, directory, starter=processes, register=pids.append, progress=lambda _: None, will=lambda _: None
    ) as made:
        await made._listening
        yield made
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def other_credentials(of, by):
    """A client of `of`'s address with `by`'s certificate."""
    pki = by.plane.settings.directory / "pki"
    authority = of.plane.settings.directory / "pki" / "server-ca.crt"
    return Client.over_tls(*of.backend, authority=authority, certificate=pki / "admin.crt", key=pki / "admin.key")


def status(client, path):
    try:
        client.call("GET", path)
    except ApiError as error:
        return error.status
    return 200


async def eventually(check, *, seconds=60.0):
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await asyncio.to_thread(check)
        except (ApiError, AssertionError):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.02)


def test_two_clusters_on_one_host_are_strangers(directory):
    asyncio.run(two_strangers(directory))
    assert not (directory / "host").exists()
    assert not list(directory.glob("vc-*"))


async def two_strangers(directory):
    async with opened(directory) as shared:
        await shared.host_ready()
        async with (
            contextlib.AsyncExitStack() as clients,
            shared.virtual_cluster(version=VERSION, nodes=DEFAULT_NODES) as one,
            shared.virtual_cluster(version=VERSION, nodes=(NodeShape(name="only"),)) as other,
        ):
            ours, theirs = (clients.enter_context(contextlib.closing(each.plane.api())) for each in (one, other))
            # nobody's certificate and nobody's token works elsewhere
            with contextlib.closing(other_credentials(other, one)) as intruder:
                assert status(intruder, "/api/v1/namespaces") == 401
            uids = [
                client.call("GET", "/api/v1/namespaces/kube-system")["metadata"]["uid"] for client in (ours, theirs)
            ]
            assert uids[0] != uids[1]
            # each publishes its own root certificate
            for cluster, client in ((one, ours), (other, theirs)):
                path = "/api/v1/namespaces/default/configmaps/kube-root-ca.crt"
                assert client.call("GET", path)["data"]["ca.crt"] == cluster.plane.server_authority
            # Service addresses never meet
            addresses = {
                client.call("GET", "/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"]
                for client in (ours, theirs)
            }
            assert len(addresses) == 2
            # each sees its own nodes
            assert sorted(n["metadata"]["name"] for n in ours.call("GET", "/api/v1/nodes")["items"]) == [
                "node-1",
                "node-2",
                "node-3",
            ]
            assert [n["metadata"]["name"] for n in theirs.call("GET", "/api/v1/nodes")["items"]] == ["only"]
            # a namespace gets its default ServiceAccount and root certificate, and goes when deleted
            ours.call("POST", "/api/v1/namespaces", {"metadata": {"name": "x"}})
            await eventually(lambda: ours.call("GET", "/api/v1/namespaces/x/serviceaccounts/default"))
            assert status(theirs, "/api/v1/namespaces/x") == 404
            ours.call("DELETE", "/api/v1/namespaces/x")

            def gone():
                assert status(ours, "/api/v1/namespaces/x") == 404

            await eventually(gone)


def test_a_killed_component_is_told_by_name(directory):
    asyncio.run(killed(directory))


async def killed(directory):
    async with opened(directory) as shared, shared.virtual_cluster(version=VERSION, nodes=DEFAULT_NODES) as cluster:
        os.kill(cluster.plane.components[1].pid, 9)
        await asyncio.wait_for(cluster.died.wait(), 60)
        assert cluster.deaths[0].component.endswith("kube-controller-manager")
        assert cluster.deaths[0].status == "killed by signal 9"
        assert not shared.failed.is_set()


def test_a_killed_store_fails_the_backplane(directory):
    async def scenario():
        async with opened(directory) as shared:
            pid = int(next(p for p in Path("/proc").glob("[0-9]*") if is_etcd(p, directory)).name)
            os.kill(pid, 9)
            await asyncio.wait_for(shared.failed.wait(), 60)
            assert [death.component for death in shared.deaths] == ["etcd"]

    asyncio.run(scenario())


def is_etcd(process, directory):
    with contextlib.suppress(OSError):
        return f"--data-dir={directory}".encode() in (process / "cmdline").read_bytes()
    return False


def test_the_template_is_kept_in_the_cache_and_made_again_when_damaged(directory, monkeypatch):
    # One of its own: tests beside this one start from the templates in the other.
    cache = directory / "cache"
    cache.mkdir()
    (cache / "bin").symlink_to(cache_folder(os.environ) / "bin")
    monkeypatch.setenv("PYTEST_VCLUSTER_CACHE", str(cache))

    async def scenario():
        async with opened(directory) as shared, shared.virtual_cluster(version=VERSION, nodes=DEFAULT_NODES):
            pass

    asyncio.run(scenario())
    kept = list((cache / "templates").glob(f"{VERSION}-*.json"))
    assert kept
    assert all(Template.load(path.read_bytes()).version == VERSION for path in kept)
    for path in kept:
        path.write_bytes(b"damaged")
    asyncio.run(scenario())
    assert any(path.read_bytes() != b"damaged" for path in kept)


def test_a_version_whose_binaries_are_missing_is_one_clear_error_offline(directory, monkeypatch):
    monkeypatch.setenv("PYTEST_VCLUSTER_CACHE", str(directory / "empty"))
    for name in list(os.environ):
        if name.startswith("TEST_ASSET_") or name == "KUBEBUILDER_ASSETS":
            monkeypatch.delenv(name)

    async def scenario():
        async with opened(directory, Settings(versions=(VERSION,), offline=True)):
            raise AssertionError("opened without binaries")

    with pytest.raises(ToolchainError, match="etcd"):
        asyncio.run(scenario())


def test_an_api_server_that_can_not_start_shows_its_log(directory, monkeypatch):
    broken = directory / "kube-apiserver"
    broken.write_text("#!/bin/sh\necho this is why >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("TEST_ASSET_KUBE_APISERVER", str(broken))
    monkeypatch.setenv("PYTEST_VCLUSTER_CACHE", str(cache_folder(os.environ)))

    async def scenario():
        async with opened(directory) as shared, shared.virtual_cluster(version=VERSION, nodes=DEFAULT_NODES):
            raise AssertionError("started")

    with pytest.raises((ProvisionError, ToolchainError), match="this is why|not a program"):
        asyncio.run(scenario())

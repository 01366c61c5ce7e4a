"""One control plane on a real etcd: what it starts on."""

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest

from pytest_vcluster.controlplane import etcd, plane
from pytest_vcluster.controlplane.datastore import Datastore
from pytest_vcluster.controlplane.networks import SERVICE_RANGES
from pytest_vcluster.hosts import opening
from pytest_vcluster.service.processes import Processes
from pytest_vcluster.settings import Settings
from pytest_vcluster.toolchain.versions import KNOWN_PATCH

VERSION = KNOWN_PATCH["1.36"]


@pytest.fixture
def directory():
    # Unix sockets have short paths; pytest's own temporary folders do not.
    with tempfile.TemporaryDirectory(prefix="v", dir="/tmp") as made:
        yield Path(made)


@contextlib.asynccontextmanager
async def opened(directory):
    processes = Processes(directory / "logs", register=lambda _: None)
    async with opening.opened(
        Settings(versions=(VERSION,)),
        directory,
        starter=processes,
        register=lambda _: None,
        progress=lambda _: None,
        will=lambda _: None,
    ) as made:
        await made._listening
        yield made


def test_a_prefix_is_seeded_once(directory):
    asyncio.run(seed_twice(directory))


async def seed_twice(directory):
    async with opened(directory):
        with contextlib.closing(Datastore(etcd.socket(directory))) as datastore:
            assert datastore.seed("/a/", {b"x": b"1", b"y/z": b"2"}) is True
            assert datastore.seed("/a/", {b"other": b"3"}) is False
            assert datastore.read("/a/") == {b"x": b"1", b"y/z": b"2"}
            assert datastore.seed("/aa/", {b"x": b"4"}) is True


def test_a_server_that_was_quicker_than_its_state_starts_again_on_it(directory):
    asyncio.run(be_late(directory))


async def be_late(directory):
    async with opened(directory) as shared:
        settings = await shared._plane_settings(VERSION, SERVICE_RANGES[1])
        template = await shared._template(VERSION)
        states = []

        async def state(certificate_authority):
            with contextlib.closing(Datastore(settings.etcd_socket)) as datastore:
                while not datastore.read(settings.etcd_prefix):
                    await asyncio.sleep(0.02)
            states.append(template.clone(service_range=SERVICE_RANGES[1], certificate_authority=certificate_authority))
            return states[-1]

        async with plane.running(settings, shared._starter, state=state) as control_plane:
            assert [component.exited.done() for component in control_plane.components] == [False, False]
            with contextlib.closing(control_plane.api()) as client:
                role = client.call("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/view")
            assert role["metadata"]["uid"].encode() in states[0][b"clusterroles/view"]

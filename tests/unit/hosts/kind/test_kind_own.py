"""The kind cluster of one run, over a fake Docker."""

import asyncio
import json
import os
import signal
import stat

import pytest
from fake_kind import container

from pytest_vcluster.errors import HostError, ProvisionError, SettingsError, Timeout
from pytest_vcluster.hosts.kind import creating, leftovers, naming
from pytest_vcluster.settings import Settings

NAME = "pytest-vcluster-1a2b3c4d"


def test_a_run_has_a_cluster_of_its_own_which_ends_with_it(machine):
    async def main():
        async with machine.running() as host:
            assert machine.containers == [f"{NAME}-control-plane"]
            assert (host.name, host.context, host.version) == (NAME, f"kind-{NAME}", "v1.36.4")
            assert host.kubeconfig.parent == machine.base / "1a2b3c4d" / "1"
            assert f"kind-{NAME}" in host.kubeconfig.read_text()
            assert stat.S_IMODE(host.kubeconfig.stat().st_mode) == 0o600
            assert (host.gateway, host.way_back, host.shared) == ("127.0.0.1", "127.0.0.1", False)
            [node] = host.nodes
            assert (node.name, node.address) == (f"{NAME}-control-plane", "127.0.0.1")
        assert machine.containers == []

    asyncio.run(main())
    assert not (machine.folder / "the users own").exists()


def test_progress_is_told_while_it_is_made(machine):
    machine.wish("create-hangs")

    async def main():
        async def unhang():
            while not any("Preparing nodes" in text for text in machine.said):
                await asyncio.sleep(0.02)
            machine.unwish("create-hangs")

        task = asyncio.create_task(unhang())
        async with machine.running():
            await task

    asyncio.run(main())
    assert f"kind cluster {NAME}: Preparing nodes" in machine.said
    assert machine.said[-1] == f"kind cluster {NAME}: waiting for its nodes"


def test_its_removal_is_willed_before_it_is_made(machine):
    machine.wish("create-fails", "ERROR: no")
    with pytest.raises(HostError):
        asyncio.run(enter(machine))
    assert machine.wills
    machine.state(containers=[container(NAME, "control-plane"), container(NAME, "worker"), container("a", "worker")])
    assert machine.carry_out() == [""]
    assert machine.containers == ["a-worker"]
    assert not {"FAKE_KIND", "KUBECONFIG"} & set(machine.wills[0].environment)  # it is written to a file


async def enter(machine, settings=None, **more):
    async with machine.running(settings, **more):
        pass


def test_a_cluster_of_its_backplane_before_goes_first(machine):
    machine.state(containers=[container(NAME, "control-plane")])
    asyncio.run(enter(machine, generation=2))
    assert machine.containers == []


def test_an_end_in_the_middle_of_its_creation_leaves_nothing(machine):
    machine.wish("create-hangs")

    async def main():
        task = asyncio.create_task(enter(machine))
        while not machine.containers:
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert machine.containers == []


def test_a_death_in_the_middle_of_its_creation_leaves_nothing(machine):
    """The process that makes it is killed, and its will carried out by another."""
    machine.wish("create-hangs")
    child = os.fork()
    if not child:
        os.setsid()
        try:
            asyncio.run(enter(machine))
        finally:
            os._exit(1)
    while not machine.containers:
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = leftovers.wills(machine.base, machine.environ)
    assert list(found) == [machine.base / "1a2b3c4d"]
    machine.wills += found.values()

    assert machine.carry_out() == [""]
    assert machine.containers == []


def test_clusters_of_runs_that_are_not_ours_to_judge_are_no_leftovers(machine, tmp_path):
    mine, other = naming.mark(machine.base), naming.mark(tmp_path / "elsewhere")
    machine.state(
        containers=[
            container("pytest-vcluster-1", "control-plane", mounts=[mine]),
            container("pytest-vcluster-1", "worker", mounts=[mine]),
            container("pytest-vcluster-2", "control-plane", mounts=[other]),
            container("pytest-vcluster-3", "control-plane"),
            container("team", "control-plane", mounts=[naming.SHARED_MARK]),
            container("kind", "control-plane"),
        ]
    )
    assert list(leftovers.wills(machine.base, machine.environ)) == [machine.base / "1"]


def test_a_configuration_file_adds_nodes(machine, tmp_path):
    file = tmp_path / "kind.yaml"
    file.write_text("nodes:\n- role: control-plane\n- role: worker\n- role: worker\n")

    async def main():
        async with machine.running(Settings(host="kind", kind_config=file)) as host:
            assert [node.role for node in host.nodes] == ["control-plane", "worker", "worker"]

    asyncio.run(main())
    made = json.loads((machine.folder / "configuration.json").read_text())
    mark = naming.mark(machine.base)
    assert all(node["extraMounts"][-1]["containerPath"] == mark for node in made["nodes"])
    [create] = machine.calls("kind create")
    assert "--image" not in create


def test_a_wrong_configuration_file_stops_all_before_docker_is_asked(machine, tmp_path):
    file = tmp_path / "kind.yaml"
    file.write_text("nodes: 3")
    with pytest.raises(SettingsError, match="line 1: nodes is no list"):
        asyncio.run(enter(machine, Settings(host="kind", kind_config=file)))
    assert machine.calls() == []


def test_no_docker(machine):
    with pytest.raises(HostError, match="no program `docker`"):
        asyncio.run(enter(machine, environ={**machine.environ, "PATH": "/nowhere"}))


@pytest.mark.parametrize("said", ["Cannot connect to the Docker daemon", "permission denied while trying to connect"])
def test_a_docker_that_does_not_answer_stops_all_before_anything_is_made(machine, said):
    machine.wish("down", said)
    with pytest.raises(HostError, match=said):
        asyncio.run(enter(machine))
    assert [call.partition(" --")[0] for call in machine.calls()] == ["docker info"]
    assert machine.wills == []


def test_no_kind(machine):
    (machine.bin / "kind").unlink()
    with pytest.raises(ProvisionError, match="kind is not an executable file"):
        asyncio.run(enter(machine))


def test_a_creation_that_fails_tells_kinds_last_words_and_leaves_nothing(machine):
    machine.wish("create-fails", "ERROR: failed to create cluster: failed to init node with kubeadm")
    with pytest.raises(HostError, match="failed to init node with kubeadm") as caught:
        asyncio.run(enter(machine))
    assert "Preparing" not in str(caught.value)
    assert "--vcluster-kind-config" in str(caught.value)
    assert machine.containers == []


def test_a_node_image_that_cannot_be_pulled_is_told_with_those_that_are_here(machine):
    machine.state(images={"kindest/node:v1.36.4": "1", "busybox": "2"})
    machine.wish("create-fails", 'ERROR: failed to create cluster: failed to pull image "kindest/node:v9"')
    with pytest.raises(HostError, match="kindest/node:v9 of .* can't be pulled") as caught:
        asyncio.run(enter(machine))
    assert "Node images in local Docker: kindest/node:v1.36.4.\n" in str(caught.value)


def test_nodes_that_do_not_get_ready_are_told_and_nothing_is_left(machine, monkeypatch):
    monkeypatch.setattr(creating, "_READY_SECONDS", 0.1)
    machine.wish("unready")
    with pytest.raises(Timeout, match="timed out waiting for the condition"):
        asyncio.run(enter(machine))
    assert machine.containers == []


def test_a_removal_that_fails_does_not_hide_why_the_run_ends(machine, caplog):
    async def main():
        async with machine.running():
            machine.wish("stuck")
            raise RuntimeError("the reason")

    with pytest.raises(RuntimeError, match="the reason"):
        asyncio.run(main())
    assert "could not be removed yet" in caplog.text
    machine.unwish("stuck")

    assert machine.carry_out() == [""]
    assert machine.containers == []


def test_where_docker_has_its_own_machine_containers_know_ours_by_name(machine, monkeypatch):
    monkeypatch.setattr("pytest_vcluster.hosts.kind.nodes.is_ours", lambda _: False)

    async def way_back():
        async with machine.running(run=os.urandom(4).hex()) as host:
            return host.way_back

    assert asyncio.run(way_back()) is None
    machine.wish("desktop")
    assert asyncio.run(way_back()) == "192.168.65.254"


def test_an_api_server_that_nobody_can_reach_is_told_at_once(machine):
    machine.wish("port", "1")
    with pytest.raises(HostError, match="can't be reached from here, neither at https://127.0.0.1:1 nor") as caught:
        asyncio.run(enter(machine))
    assert "networking.apiServerAddress" in str(caught.value)
    assert machine.containers == []

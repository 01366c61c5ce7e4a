"""Images on their way to the nodes, over a fake Docker."""

import asyncio
import os
from pathlib import Path

import pytest

from pytest_vcluster.errors import HostError
from pytest_vcluster.settings import Settings

TWO_NODES = "nodes: [{role: control-plane}, {role: worker}]"


@pytest.fixture
def load(machine, tmp_path):
    """Load lists of images one after the other, into a cluster with two nodes; returns what its nodes have then."""
    file = tmp_path / "kind.yaml"
    file.write_text(TWO_NODES)

    def load(*lists, offline=False, reuse=None, between=lambda: None):
        async def main():
            settings = Settings(host="kind", kind_config=file, offline=offline, reuse=reuse)
            async with machine.running(settings, run=os.urandom(4).hex()) as host:
                for images in lists:
                    await host.load(images, machine.said.append)
                    between()
                return [node["images"] for node in machine.world["containers"]]

        return asyncio.run(main())

    return load


def imports(machine):
    return len(machine.calls("import"))


def test_an_image_of_local_docker_is_brought_to_every_node_once(machine, load):
    machine.state(images={"mine:dev": "1", "busybox": "2"})
    there = {"docker.io/library/mine:dev": "1", "docker.io/library/busybox:latest": "2"}
    assert load(["mine:dev", "busybox"], ["busybox"], ["docker.io/library/mine:dev", "mine:dev"]) == [there, there]
    assert imports(machine) == 2
    assert machine.calls("docker pull") == []
    assert any("loading mine:dev, busybox" in text for text in machine.said)


def test_many_who_ask_at_once_cause_one_load(machine, tmp_path):
    machine.state(images={"a:1": "1"})

    async def main():
        async with machine.running() as host:
            await asyncio.gather(*(host.load(["a:1"], machine.said.append) for _ in range(4)))

    asyncio.run(main())
    assert imports(machine) == 1


def test_an_image_that_was_built_anew_is_brought_again(machine, load):
    machine.state(images={"mine:dev": "1"})
    nodes = load(["mine:dev"], ["mine:dev"], between=lambda: machine.state(images={"mine:dev": "2"}))
    assert [node["docker.io/library/mine:dev"] for node in nodes] == ["2", "2"]
    assert imports(machine) == 4


def test_an_image_that_only_the_nodes_have_is_left_as_it_is(machine):
    async def main():
        async with machine.running() as host:
            [node] = machine.world["containers"]
            node["images"]["registry.k8s.io/pause:3.10"] = "9"
            machine.state(containers=[node])
            await host.load(["registry.k8s.io/pause:3.10"], machine.said.append)

    asyncio.run(main())
    assert imports(machine) == 0
    assert machine.calls("docker pull") == []


def test_what_is_nowhere_here_is_pulled(machine, load):
    machine.state(registry={"ghcr.io/a/b:1": "7"})
    assert load(["ghcr.io/a/b:1"])[0] == {"ghcr.io/a/b:1": "7"}
    assert any("pulling ghcr.io/a/b:1" in text for text in machine.said)


def test_images_that_cannot_be_had_are_told_all_at_once(machine, load):
    machine.state(registry={"ghcr.io/a/b:1": "7"})
    with pytest.raises(HostError, match="Images can't be had") as caught:
        load(["ghcr.io/a/b:1", "registry.k8s.io/kube-apiserver:v1.36.99", "nobody/has:it"])
    text = str(caught.value)
    assert "registry.k8s.io/kube-apiserver:v1.36.99: docker pull says: Error response from daemon" in text
    assert "nobody/has:it" in text
    assert "ghcr.io/a/b:1" not in text
    assert "on its nodes, in local Docker, and in the registry" in text


def test_offline_nothing_is_pulled(machine, load):
    machine.state(registry={"ghcr.io/a/b:1": "7"})
    with pytest.raises(HostError, match="ghcr.io/a/b:1: --vcluster-offline forbids to pull it"):
        load(["ghcr.io/a/b:1"], offline=True)
    assert machine.calls("docker pull") == []


def test_an_image_named_by_digest_bears_that_name_on_the_nodes(machine, load):
    machine.state(images={"ghcr.io/a/b@sha256:12": "7"})
    assert all(node["ghcr.io/a/b@sha256:12"] == "7" for node in load(["ghcr.io/a/b@sha256:12"]))


def test_a_node_that_takes_no_image_is_told(machine, load):
    machine.state(images={"a:1": "1"})
    machine.wish("full")
    with pytest.raises(HostError, match=r"a:1 could not be loaded into the node .*\nctr: no space left on device"):
        load(["a:1"])


def test_what_one_run_brought_to_a_shared_cluster_the_next_need_not(machine, load):
    machine.state(images={"a:1": "1"})
    load(["a:1"], reuse="team")
    load(["a:1"], reuse="team")
    assert imports(machine) == 2  # one for each node


def test_where_docker_counts_otherwise_than_nodes_it_is_remembered_what_was_brought(machine, load):
    machine.state(images={"a:1": "1"})
    load(["a:1"], reuse="team")
    nodes = machine.world["containers"]
    for node in nodes:
        node["images"]["docker.io/library/a:1"] = "the node's own id"
    machine.state(containers=nodes)
    load(["a:1"], reuse="team")
    assert imports(machine) == 2
    machine.state(images={"a:1": "2"})
    load(["a:1"], reuse="team")
    assert imports(machine) == 4


def test_no_file_descriptor_is_left_open(machine, load):
    machine.state(images={"a:1": "1"})
    before = set(Path("/dev/fd").iterdir())
    load(["a:1"])
    assert len(set(Path("/dev/fd").iterdir())) <= len(before)

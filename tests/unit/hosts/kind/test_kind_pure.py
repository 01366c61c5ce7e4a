import asyncio
import json
import socket

import pytest

from pytest_vcluster.errors import HostError, SettingsError
from pytest_vcluster.hosts.kind import concerns, creating, docker, images, naming, nodes, reaching

INSPECTED = {
    "Name": "/a-control-plane",
    "Config": {
        "Image": "kindest/node:v1.36.4",
        "Labels": {"io.x-k8s.kind.cluster": "a", "io.x-k8s.kind.role": "control-plane"},
    },
    "State": {"Running": True},
    "Mounts": [{"Destination": "/var"}, {"Destination": "/pytest-vcluster/shared"}],
    "NetworkSettings": {"Networks": {"kind": {"IPAddress": "172.18.0.2", "Gateway": "172.18.0.1"}}},
}


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.37", "docker.io/library/busybox:1.37"),
        ("kindest/node:v1", "docker.io/kindest/node:v1"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("localhost/mine", "localhost/mine:latest"),
        ("localhost:5000/mine", "localhost:5000/mine:latest"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
        ("ghcr.io/a/b@sha256:12", "ghcr.io/a/b@sha256:12"),
        ("ghcr.io/a/b:tag@sha256:12", "ghcr.io/a/b@sha256:12"),
        ("busybox@sha256:12", "docker.io/library/busybox@sha256:12"),
    ],
)
def test_images_have_one_full_name(reference, full):
    assert images.canonical(reference) == full
    assert images.canonical(full) == full


def test_a_node_has_its_images_by_all_their_names():
    listing = {"images": [{"id": "1", "repoTags": ["a.io/x:1", "a.io/x:2"], "repoDigests": ["a.io/x@sha256:3"]}]}
    assert images.listed(json.dumps(listing)) == {"a.io/x:1": "1", "a.io/x:2": "1", "a.io/x@sha256:3": "1"}
    assert images.listed('{"images": [{"id": "1", "repoTags": null}]}') == {}


@pytest.mark.parametrize(
    ("here", "nodes_have", "brought", "there"),
    [
        ("", ["1", "1"], "", True),  # on all nodes, and local Docker does not know it
        ("1", ["1", "1"], "", True),
        ("1", ["1", ""], "", False),  # a node lacks it
        ("2", ["1", "1"], "", False),  # it was built anew
        ("2", ["1", "1"], "2", True),  # Docker counts otherwise than the node, but this is what was brought
        ("3", ["1", "1"], "2", False),
        ("2", ["1", ""], "2", False),  # brought, and the node has lost it
        ("", [""], "", False),
    ],
)
def test_an_image_is_there_if_every_node_has_the_one_that_is_meant(here, nodes_have, brought, there):
    on_nodes = [{"x": each} if each else {} for each in nodes_have]
    assert images.is_there("x", here=here, nodes=on_nodes, brought=brought) is there


@pytest.mark.parametrize(
    ("configuration", "snapshotter"),
    [
        ("version = 3\n[plugins.'io.containerd.cri.v1.images']\nsnapshotter = 'native'\n", "native"),
        ("[plugins.'io.containerd.grpc.v1.cri'.containerd]\nsnapshotter = 'fuse-overlayfs'\n", "fuse-overlayfs"),
        ("version = 9\n", "overlayfs"),
    ],
)
def test_images_are_unpacked_by_the_snapshotter_of_pods(configuration, snapshotter):
    assert images.snapshotter_in(configuration) == snapshotter


def test_containers_are_sorted_with_a_control_plane_first():
    def container(name, role):
        return {**INSPECTED, "Name": f"/{name}", "Config": {**INSPECTED["Config"], "Labels": {naming.ROLE_LABEL: role}}}

    described = [
        container("a-external-load-balancer", "external-load-balancer"),
        container("a-control-plane10", "control-plane"),
        container("a-worker", "worker"),
        container("a-control-plane2", "control-plane"),
        container("a-control-plane", "control-plane"),
    ]
    found = nodes.parse(json.dumps(described))
    assert [each.name for each in found][:3] == ["a-control-plane", "a-control-plane2", "a-control-plane10"]
    assert [each.name for each in found if not each.is_node] == ["a-external-load-balancer"]


def test_a_node_is_told_with_its_addresses_and_marks():
    [node] = nodes.parse(json.dumps([INSPECTED]))
    assert (node.name, node.role, node.running) == ("a-control-plane", "control-plane", True)
    assert (node.address, node.gateway) == ("172.18.0.2", "172.18.0.1")
    assert naming.SHARED_MARK in node.mounts


def test_a_stopped_node_has_no_address():
    stopped = {**INSPECTED, "State": {"Running": False}, "NetworkSettings": {"Networks": {"kind": {"IPAddress": ""}}}}
    [node] = nodes.parse(json.dumps([stopped]))
    assert (node.running, node.address, node.gateway) == (False, "", "")


def test_a_runs_cluster_is_named_for_the_run_and_found_by_its_name(tmp_path):
    name = naming.of_run(tmp_path / "1a2b3c4d")
    assert name == "pytest-vcluster-1a2b3c4d"
    assert naming.run_in(tmp_path, name) == tmp_path / "1a2b3c4d"
    for other in ("kind", "pytest-vcluster-", "pytest-vcluster-a/b", "my-pytest-vcluster-1"):
        assert naming.run_in(tmp_path, other) is None


def test_runs_below_another_directory_have_another_mark(tmp_path):
    assert naming.mark(tmp_path / "a") == naming.mark(tmp_path / "a") != naming.mark(tmp_path / "b")


@pytest.mark.parametrize("name", ["pytest-vcluster-1", "Upper", "-a", "a_b", "a" * 50, ""])
def test_a_name_that_cannot_be_shared_is_refused_in_the_words_of_the_option(name):
    with pytest.raises(SettingsError, match="--vcluster-reuse"):
        naming.check_reused(name)
    naming.check_reused("team.a-1")


def test_no_docker_program_tells_where_it_was_looked_for_and_what_to_do(tmp_path):
    with pytest.raises(HostError, match="no program `docker` on PATH") as caught:
        docker.which({"PATH": str(tmp_path)})
    assert str(tmp_path) in str(caught.value)
    assert "--vcluster-host embedded" in str(caught.value)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "Start Docker"),
        ("permission denied while trying to connect to the Docker daemon socket", "group `docker`"),
    ],
)
def test_a_docker_that_does_not_answer_is_quoted(said, remedy):
    for code, output, errors in ((1, json.dumps({"ServerErrors": [said]}), ""), (1, "", f"ERROR: {said}\n")):
        with pytest.raises(HostError, match="does not answer") as caught:
            docker.info_of(code, output, errors)
        assert f"says: {said}" in str(caught.value)
        assert remedy in str(caught.value)
    assert docker.info_of(0, '{"ServerVersion": "28"}', "")["ServerVersion"] == "28"


def test_neither_kubeconfig_nor_another_engine_of_the_users_reach_kind(tmp_path):
    environ = {"KUBECONFIG": "/mine", "KIND_EXPERIMENTAL_PROVIDER": "podman", "DOCKER_HOST": "tcp://x", "PATH": "/usr"}
    assert docker.environment(environ, tmp_path / "docker") == {"DOCKER_HOST": "tcp://x", "PATH": f"{tmp_path}:/usr"}


def test_progress_is_what_kind_does_now_in_plain_letters():
    said = 'Creating cluster "a" ...\n • Ensuring node image (kindest/node:v1) 🖼  ...\n ✓ Ensuring node image 🖼\n'
    assert creating.last_step(said) == "Ensuring node image (kindest/node:v1)"
    assert creating.last_step(said + " • Starting control-plane 🕹️  ...\n") == "Starting control-plane"
    assert creating.last_step("") == ""


def failure(said, image="kindest/node:v9", here=(), concerns=""):
    made = creating.failure("a", code=1, said=said, image=image, here=here, kind="/bin/kind", concerns=concerns)
    return str(made)


def test_a_node_image_that_cannot_be_pulled_is_named_with_those_that_are_here():
    said = 'ERROR: failed to create cluster: failed to pull image "kindest/node:v9": no such host\n'
    text = failure(said, here=["kindest/node:v1.36.4"])
    assert "kindest/node:v9 of the kind cluster a can't be pulled" in text
    assert "local Docker: kindest/node:v1.36.4" in text
    assert "--vcluster-kind-image" in text


def test_a_creation_that_failed_is_told_with_kinds_last_words():
    text = failure(" • Starting control-plane 🕹️ ...\nERROR: failed to init node with kubeadm\nkubelet is unhealthy\n")
    assert "failed to init node with kubeadm\nkubelet is unhealthy" in text
    assert "Starting control-plane" not in text
    assert "--vcluster-kind-config" in text
    assert "(it said nothing)" in failure("")


def test_what_kubeadm_says_is_not_drowned_in_places_of_its_program():
    trace = (
        "github.com/spf13/cobra.(*Command).execute\n\tgithub.com/spf13/cobra@v1/command.go:1015\nmain.main\n\tx.go:1\n"
    )
    noise = "noise a\n" * 40
    said = f"ERROR: failed to create cluster: failed to init node\n{noise}error: kubelet is unhealthy\n{trace}"
    lines = creating.told(said).splitlines()
    assert lines[0] == "ERROR: failed to create cluster: failed to init node"
    assert lines[-1] == "error: kubelet is unhealthy"
    assert len(lines) < 20


def test_a_configuration_that_kind_refuses_is_the_users_to_mend():
    text = failure("ERROR: failed to create cluster: unable to decode config: field nods not found\n")
    assert "Mend the file that --vcluster-kind-config names" in text


@pytest.mark.parametrize(
    ("info", "word"),
    [
        ({"CgroupVersion": "1"}, "failCgroupV1: false"),
        ({"MemTotal": 2 << 30}, "2.0 GiB"),
        ({"OSType": "windows"}, "Linux containers"),
    ],
)
def test_what_docker_says_of_itself_may_give_reason_for_concern(info, word):
    assert word in concerns.told(info)
    assert concerns.told({"CgroupVersion": "2", "MemTotal": 8 << 30, "OSType": "linux"}) == ""
    assert concerns.told({}) == ""
    assert failure("ERROR: no", concerns=concerns.told(info)).endswith(concerns.told(info))


KUBECONFIG = """
clusters:
- {{name: kind-a, cluster: {{server: "https://127.0.0.1:{port}"}}}}
"""


def test_the_api_server_is_used_where_it_answers():
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = KUBECONFIG.format(port=server.getsockname()[1])
        assert asyncio.run(reaching.usable(config, name="a", node="127.0.0.1", direct=True)) == config
    gone = asyncio.run(reaching.usable(config, name="a", node="172.18.0.2", direct=True))
    assert reaching.server_of(gone) == "https://172.18.0.2:6443"
    gone = asyncio.run(reaching.usable(config, name="a", node="fc00::2", direct=True))
    assert reaching.server_of(gone) == "https://[fc00::2]:6443"
    with pytest.raises(HostError, match="neither at https://127.0.0.1:.* nor at its node's address 172.18.0.2:6443"):
        asyncio.run(reaching.usable(config, name="a", node="172.18.0.2", direct=False))

import pytest
import yaml

from pytest_vcluster.errors import SettingsError
from pytest_vcluster.hosts.kind import configuration

MARK = "/pytest-vcluster/x"


def merged(document, folder):
    return configuration.merged(document, folder=folder, mark=MARK)


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "kind.yaml"
        path.write_text(text)
        return configuration.read(path)

    return read


def test_without_a_file_there_is_one_node_that_bears_our_mark(tmp_path):
    document = merged({}, tmp_path)
    assert (document["kind"], document["apiVersion"]) == ("Cluster", "kind.x-k8s.io/v1alpha4")
    [node] = document["nodes"]
    assert node["role"] == "control-plane"
    assert node["extraMounts"] == [{"hostPath": "/dev/null", "containerPath": MARK, "readOnly": True}]


def test_what_the_file_says_is_added_to_ours(tmp_path, read):
    given = read(
        "kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnetworking: {disableDefaultCNI: true}\nfuture: 1\n"
        "kubeadmConfigPatches: [theirs]\nnodes:\n- role: control-plane\n- role: worker\n  labels: {a: b}\n"
    )
    document = merged(given, tmp_path)
    assert [node["role"] for node in document["nodes"]] == ["control-plane", "worker"]
    assert all(node["extraMounts"][-1]["containerPath"] == MARK for node in document["nodes"])
    assert document["nodes"][1]["labels"] == {"a": "b"}
    assert document["networking"] == {"serviceSubnet": "10.112.0.0/12", "disableDefaultCNI": True}
    assert document["future"] == 1  # kind's business
    assert document["kubeadmConfigPatches"][-1] == "theirs"  # the last one wins
    assert yaml.safe_load(configuration.rendered(document)) == document
    assert "extraMounts" not in given["nodes"][0]  # nothing of the caller's was changed


def test_paths_start_from_the_file(tmp_path):
    mounts = [{"hostPath": "data", "containerPath": "/a"}, {"hostPath": "/abs", "containerPath": "/b"}]
    document = merged({"nodes": [{"role": "worker", "extraMounts": mounts}]}, tmp_path)
    assert [mount["hostPath"] for mount in document["nodes"][0]["extraMounts"]] == [
        str(tmp_path / "data"),
        "/abs",
        "/dev/null",
    ]


def test_patches_alone_are_a_configuration(read):
    assert read("kubeadmConfigPatches:\n- |\n  kind: KubeletConfiguration\n")["kubeadmConfigPatches"]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("kind: Cluster\nnodes: [\n", "line 3", "is no YAML"),
        ("a: 1\n\tb: 2\n", "line 2", "is no YAML"),
        ("", "line 1", "holds no fields"),
        ("- a\n", "line 1", "holds no fields"),
        ("\nkind: Pod\n", "line 2", "'Pod', but a kind configuration's is 'Cluster'"),
        ("kind: Cluster\napiVersion: v1\n", "line 2", "apiVersion is 'v1'"),
        ("nodes: 3\n", "line 1", "nodes is no list"),
        ("kind: Cluster\nkubeadmConfigPatches: x\n", "line 2", "kubeadmConfigPatches is no list"),
        ("networking: []\n", "line 1", "networking is no mapping"),
        ("nodes:\n- role: control-plane\n- role: boss\n", "line 3", "one of control-plane, worker"),
        ("nodes:\n- worker\n", "line 2", "one of control-plane, worker"),
        ("nodes:\n- role: worker\n  extraMounts: [x]\n", "line 2", "extraMounts"),
    ],
)
def test_what_is_no_configuration_is_refused_with_file_and_line(read, text, line, problem):
    with pytest.raises(SettingsError, match="--vcluster-kind-config") as caught:
        read(text)
    assert f"kind.yaml, {line}: " in str(caught.value)
    assert problem in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SettingsError, match="gone.yaml: can't be read: No such file"):
        configuration.read(tmp_path / "gone.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="binary: is no text"):
        configuration.read(tmp_path / "binary")


def test_a_range_of_services_that_the_file_names_wins(tmp_path, read):
    given = read("kind: Cluster\nnetworking: {serviceSubnet: 10.96.0.0/16}\n")
    assert merged(given, tmp_path)["networking"] == {"serviceSubnet": "10.96.0.0/16"}

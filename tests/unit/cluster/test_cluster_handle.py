import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_server import FakeLease

from pytest_vcluster.cluster import VCluster
from pytest_vcluster.cluster.handle import _is_reference
from pytest_vcluster.cluster.host import HostView
from pytest_vcluster.errors import ApiError, HostError, ManifestError, NotAvailableOnHost
from pytest_vcluster.settings import Settings


@pytest.fixture
def cluster(tmp_path):
    made = VCluster(FakeLease(), Settings(), tmp_path / "handle")
    yield made
    made.close()


def test_it_knows_itself(cluster):
    assert (cluster.name, cluster.version, cluster.context) == ("vc-1", "v1.36.4", "vc-1")
    assert cluster.url == "https://127.0.0.1:1"
    assert cluster.kubeconfig_dict["kind"] == "Config"
    assert json.loads(cluster.kubeconfig.read_text()) == cluster.kubeconfig_dict
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
    assert repr(cluster) == "<VCluster vc-1 v1.36.4 https://127.0.0.1:1>"


def test_a_kubeconfig_may_be_yaml(tmp_path):
    cluster = VCluster(FakeLease(kubeconfig="kind: Config\ncurrent-context: here\n"), Settings(), tmp_path / "h")
    assert cluster.context == "here"
    cluster.close()


def test_closing_removes_its_files_unless_somebody_still_needs_them(tmp_path):
    kept, gone = (VCluster(FakeLease(), Settings(), tmp_path / name) for name in ("kept", "gone"))
    kept.close(keep_files=True)
    gone.close()
    gone.close()
    assert kept.kubeconfig.is_file()
    assert not (tmp_path / "gone").exists()


def test_relative_paths_start_near_the_test_and_then_from_the_current_folder(cluster, tmp_path, monkeypatch):
    beside, root, current = (tmp_path / name for name in ("beside", "root", "current"))
    for folder in (beside, root, current):
        folder.mkdir()
    monkeypatch.chdir(current)
    with pytest.raises(ManifestError, match=f"looked in {current}$"):
        cluster.apply("x.yaml")
    cluster.near = lambda: (beside, root)
    for call in (cluster.apply, cluster.delete):
        with pytest.raises(ManifestError, match=f"looked in {beside} and {root} and {current}$"):
            call("x.yaml")
    (root / "x.yaml").write_text("kind: ConfigMap")
    with pytest.raises(ManifestError, match=f"{root}/x.yaml.*has no apiVersion"):
        cluster.apply("x.yaml")


def test_images_can_be_loaded_only_where_containers_run(cluster):
    with pytest.raises(NotAvailableOnHost, match=r"load_image\(\) is not available on the 'embedded' host: .* kind"):
        cluster.load_image("busybox")


def test_webhooks_need_a_way_back(cluster):
    with pytest.raises(NotAvailableOnHost, match=r"webhook\(\) is not available on the 'embedded' host"):
        cluster.webhook(8443)


def test_use_points_this_process_here(cluster, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/mine")
    with cluster.use() as path:
        assert os.environ["KUBECONFIG"] == str(cluster.kubeconfig) == str(path)
    assert os.environ["KUBECONFIG"] == "/mine"


def test_wrong_arguments_are_told_before_anything_is_asked(cluster):
    with pytest.raises(ValueError, match="exec\\(\\) needs a command"):
        cluster.exec("web")
    with pytest.raises(ValueError, match="nothing that can be waited for"):
        cluster.wait("deployment/web", "available")
    with pytest.raises(ManifestError, match="names no manifest"):
        cluster.apply("nowhere.yaml")


@pytest.mark.parametrize(
    ("source", "reference"),
    [
        ("deployment/web", True),
        ("crd/widgets.example.com", True),
        ("deployments.apps/web", True),
        ("crd/x.yaml", False),
        ("crd/*", False),
        ("a/b/c", False),
        ("web", False),
        ("https://x/y", False),
        ("kind: Pod\n", False),
        ("/tmp", False),
    ],
)
def test_references_and_paths_are_told_apart(source, reference):
    assert _is_reference(source, bases=[Path()]) is reference


def test_a_path_that_exists_is_a_path(tmp_path):
    (tmp_path / "config" / "crd").mkdir(parents=True)
    assert not _is_reference("config/crd", bases=[tmp_path / "elsewhere", tmp_path])


def test_importing_it_brings_nothing_heavy_along():
    code = (
        "import sys, pytest_vcluster.cluster; "
        "heavy = {'yaml', 'urllib3', 'kubernetes', 'cryptography', 'ssl', 'asyncio', 'subprocess'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def host_of(listing, **facts):
    asked = []

    def run(arguments, kubeconfig):
        asked.append((arguments, kubeconfig))
        return json.dumps({"items": listing})

    return HostView("vc-1", {"kind": "embedded", "namespace": "ns", "kubeconfig": "/host", **facts}, run), asked


def host_object(name, virtual, namespace=None):
    place = {} if namespace is None else {"vcluster-syncer/namespace": namespace}
    return {"metadata": {"name": name, "annotations": {"vcluster-syncer/name": virtual, **place}}}


def test_the_host_is_asked_for_this_clusters_objects_only():
    view, asked = host_of([host_object("web-x-1", "web", "default")])
    assert [found["metadata"]["name"] for found in view.objects("pods")] == ["web-x-1"]
    expected = ("get", "pods", "--selector", "vcluster-syncer/tenant=vc-1", "--output", "json", "--namespace", "ns")
    assert asked == [(expected, Path("/host"))]
    assert (view.kind, view.namespace, view.version) == ("embedded", "ns", "")


def test_names_on_the_host_are_found_by_what_is_noted_there():
    view, _ = host_of([host_object("a", "web", "x"), host_object("b", "web", "default"), host_object("c", "node-1")])
    assert view.name_of("pod", "web") == "b"
    assert view.name_of("pod", "web", "x") == "a"
    assert view.name_of("node", "node-1") == "c"
    with pytest.raises(ApiError, match="nothing on the host stands for pod web in namespace y"):
        view.name_of("pod", "web", "y")


def test_a_host_that_was_not_there_yet_is_told():
    view, _ = host_of([], kubeconfig="")
    with pytest.raises(HostError, match="vcluster_host"):
        view.objects("pods")

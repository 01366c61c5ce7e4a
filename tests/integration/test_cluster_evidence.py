"""Evidence of what really happened."""

import yaml
from cluster_objects import config_map, custom, definition, deployment, namespace


def test_it_tells_what_a_test_did_and_no_secrets(vcluster, tmp_path):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
    vcluster.apply([definition("clues"), custom("Clue", "c", size=1), secret, deployment("web"), namespace("scene")])
    vcluster.apply([config_map("changed", "scene", text="one\ntwo\n"), config_map("deleted", "scene")])
    vcluster.delete("cm/deleted", namespace="scene")
    vcluster.wait("deployment/web", "condition=Available")
    folder = vcluster.evidence(tmp_path / "evidence", timeout=60)
    assert not (folder / "errors.txt").exists(), (folder / "errors.txt").read_text()
    objects = {str(path.relative_to(folder / "objects")) for path in (folder / "objects").rglob("*.yaml")}
    assert {
        "_cluster/customresourcedefinition.apiextensions.k8s.io/clues.example.com.yaml",
        "_cluster/namespace/scene.yaml",
        "default/clue.example.com/c.yaml",
        "default/deployment.apps/web.yaml",
        "default/secret/s.yaml",
        "scene/configmap/changed.yaml",
    } <= objects
    assert any(name.startswith("default/pod/web-") for name in objects)
    assert "_cluster/namespace/kube-system.yaml" not in objects
    assert not any("deleted" in name for name in objects)
    changed = yaml.safe_load((folder / "objects/scene/configmap/changed.yaml").read_text())
    assert changed["data"] == {"text": "one\ntwo\n"}
    assert "managedFields" not in changed["metadata"]
    assert "ScalingReplicaSet" in (folder / "events.txt").read_text()
    assert (folder / "logs" / "kube-apiserver.log").exists()
    assert (folder / "logs" / "kube-controller-manager.log").exists()
    assert vcluster.name in (folder / "README.txt").read_text()
    everything = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert "hunter2" not in everything
    assert "aHVudGVyMg" not in everything

"""Claims and volumes in clusters that tests are given."""

import pytest
import yaml

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
STATEFUL_SET = yaml.safe_load("""
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
        - {name: main, image: db:1, volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
""")
PATIENCE = 60


def test_the_default_storage_class_is_there_from_the_start(vcluster):
    """In the first cluster of a run too, which is handed out before the host runs."""
    (standard,) = vcluster.get("storageclasses")
    assert standard["metadata"]["name"] == "standard"
    assert standard["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"


def test_a_stateful_set_with_claims_becomes_ready(vcluster):
    vcluster.apply(STATEFUL_SET)
    vcluster.wait("statefulset/db", "jsonpath={.status.readyReplicas}=2", timeout=PATIENCE)
    for number in (0, 1):
        vcluster.wait(f"persistentvolumeclaim/data-db-{number}", "jsonpath={.status.phase}=Bound", timeout=PATIENCE)
    claims = vcluster.get("persistentvolumeclaims")
    assert [claim["metadata"]["name"] for claim in claims] == ["data-db-0", "data-db-1"]
    volumes = {volume["metadata"]["name"]: volume for volume in vcluster.get("persistentvolumes")}
    for claim in claims:
        assert claim["spec"]["storageClassName"] == "standard"
        volume = volumes.pop(claim["spec"]["volumeName"])
        assert volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
        assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete"
        assert volume["status"]["phase"] == "Bound"
    assert not volumes


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_lease_finds_nothing_of_the_claims_of_the_one_before(vcluster, number):
    assert vcluster.get("persistentvolumes") == []
    assert vcluster.get("persistentvolumeclaims") == []
    vcluster.apply(CLAIM)
    vcluster.wait("persistentvolumeclaim/data", "jsonpath={.status.phase}=Bound", timeout=PATIENCE)


def manual(name, **spec):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "2Gi"},
            "hostPath": {"path": f"/srv/{name}"},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "manual",
            **spec,
        },
    }


@pytest.mark.parametrize("by", ["name", "class"])
def test_a_volume_that_a_user_made_is_bound_released_and_given_up(vcluster, by):
    """Twice: what the first lease made is in the way of nobody."""
    vcluster.apply([manual("disk"), manual("spare", capacity={"storage": "8Gi"})])
    vcluster.wait("persistentvolume/disk", "jsonpath={.status.phase}=Available", timeout=PATIENCE)
    named = {"volumeName": "disk"} if by == "name" else {}
    vcluster.apply({**CLAIM, "spec": {**CLAIM["spec"], "storageClassName": "manual", **named}})
    vcluster.wait("persistentvolumeclaim/data", "jsonpath={.status.phase}=Bound", timeout=PATIENCE)
    claim, disk = vcluster.get("persistentvolumeclaim", "data"), vcluster.get("persistentvolume", "disk")
    assert (claim["spec"]["volumeName"], claim["status"]["capacity"]) == ("disk", {"storage": "2Gi"})
    assert disk["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
    vcluster.delete(CLAIM)
    vcluster.wait("persistentvolume/disk", "jsonpath={.status.phase}=Released", timeout=PATIENCE)
    # As an administrator frees it.
    vcluster.kubectl("patch", "persistentvolume", "disk", "--type=merge", "-p", '{"spec": {"claimRef": null}}')
    vcluster.wait("persistentvolume/disk", "jsonpath={.status.phase}=Available", timeout=PATIENCE)
    vcluster.kubectl("delete", "persistentvolume", "disk", f"--timeout={PATIENCE}s")
    assert [each["metadata"]["name"] for each in vcluster.get("persistentvolumes")] == ["spare"]

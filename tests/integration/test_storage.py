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

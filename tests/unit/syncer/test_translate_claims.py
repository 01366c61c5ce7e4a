"""Claims, and the volumes that stand for those they have on the host."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from syncer_worlds import Worlds, tenant
from vcluster_syncer.model import (
    NAMESPACES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    CreateHost,
    DeleteHost,
    Key,
    Refuse,
)
from vcluster_syncer.naming import host_name, host_namespace_of

KEY = Key("default", "data")
NAME = host_name("vc-a1", *KEY)
VOLUME = "pvc-0001"
MODES = ["to_host.persistent_volumes", "from_host.persistent_volumes", ""]
REAL = pytest.mark.parametrize("mode", MODES[:2])


def worlds_of(mode: str = MODES[0], **changes: Any) -> Worlds:
    return Worlds(tenant(**changes), on=[mode] if mode else [])


@pytest.fixture
def worlds() -> Worlds:
    return worlds_of()


def claim(worlds: Worlds, name: str = "data", **spec: Any) -> dict[str, Any]:
    wanted = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "standard",
        "volumeMode": "Filesystem",
        **spec,
    }
    metadata = wanted.pop("metadata", {})
    return worlds.put(
        PERSISTENT_VOLUME_CLAIMS, "default", name, metadata=metadata, spec=wanted, status={"phase": "Pending"}
    )


def settle(worlds: Worlds) -> None:
    """Look at every claim and volume until nothing changes any more."""
    for _ in range(4):
        for resource in (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES):
            keys = {key for kind, key in worlds.here if kind == resource} | {KEY}
            keys |= {Key("", name) for kind, name in worlds.there if kind == PERSISTENT_VOLUMES}
            keys |= {key for claim in worlds.virtual_list(PERSISTENT_VOLUME_CLAIMS) for _, key in uses(worlds, claim)}
            for key in keys:
                if bool(key.namespace) == resource.namespaced:
                    worlds.settle(resource, key)


def uses(worlds: Worlds, item: Any) -> Any:
    return worlds.kinds[PERSISTENT_VOLUME_CLAIMS].references(item)


def host_claim(worlds: Worlds) -> dict[str, Any]:
    return worlds.there[PERSISTENT_VOLUME_CLAIMS, NAME]


def bind(worlds: Worlds, volume: str = VOLUME, *, policy: str = "Delete", **spec: Any) -> None:
    """Play the host's binder and provisioner."""
    there = host_claim(worlds)
    there["spec"]["volumeName"] = volume
    there["metadata"]["annotations"].update(
        {
            "pv.kubernetes.io/bind-completed": "yes",
            "volume.kubernetes.io/storage-provisioner": "kubernetes.io/host-path",
        }
    )
    there["status"] = {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}}
    own = there["metadata"]
    worlds.put_host(
        PERSISTENT_VOLUMES,
        volume,
        metadata={"annotations": {"pv.kubernetes.io/provisioned-by": "kubernetes.io/host-path"}},
        spec={
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "2Gi"},
            "claimRef": {"namespace": own["namespace"], "name": own["name"], "uid": own["uid"]},
            "hostPath": {"path": "/tmp/hostpath_pv/0001"},
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": "standard",
            "volumeMode": "Filesystem",
            **spec,
        },
        status={"phase": "Bound"},
    )


def bound(worlds: Worlds, **options: Any) -> dict[str, Any]:
    """A claim that is bound, on both sides."""
    item = claim(worlds)
    settle(worlds)
    bind(worlds, **options)
    settle(worlds)
    assert item["status"]["phase"] == "Bound"
    return item


def stand_in(worlds: Worlds, name: str = VOLUME) -> dict[str, Any]:
    return worlds.here[PERSISTENT_VOLUMES, Key("", name)]


def test_a_claim_asks_the_host_for_what_its_user_asks(worlds: Worlds) -> None:
    selector = {"matchLabels": {"tier": "fast"}}
    claim(worlds, volumeMode="Block", selector=selector, volumeAttributesClassName="gold", volumeName="wanted")
    settle(worlds)
    host = host_claim(worlds)
    assert host["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "selector": selector,
        "storageClassName": "standard",
        "volumeAttributesClassName": "gold",
        "volumeMode": "Block",
        "volumeName": "wanted",
    }


@REAL
def test_a_bound_claim_has_a_volume_with_the_hosts_name_and_reclaim_policy(mode: str) -> None:
    worlds = worlds_of(mode)
    item = bound(worlds, policy="Retain")
    assert item["spec"]["volumeName"] == VOLUME
    assert item["status"]["capacity"] == {"storage": "2Gi"}
    assert item["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] == "yes"
    volume = stand_in(worlds)
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume["spec"]["hostPath"] == {"path": "/tmp/hostpath_pv/0001"}
    assert volume["status"]["phase"] == "Bound"
    reference = volume["spec"]["claimRef"]
    assert (reference["namespace"], reference["name"], reference["uid"]) == ("default", "data", item["metadata"]["uid"])


def test_without_the_right_to_read_volumes_the_claim_tells_what_there_is_to_tell() -> None:
    worlds = worlds_of("")
    bound(worlds)
    volume = stand_in(worlds)
    assert volume["spec"]["capacity"] == {"storage": "2Gi"}
    assert volume["spec"]["csi"]["volumeHandle"] == VOLUME
    assert volume["spec"]["claimRef"]["name"] == "data"
    assert volume["status"]["phase"] == "Bound"


def test_a_claim_is_not_bound_before_its_volume_is_there(worlds: Worlds) -> None:
    item = claim(worlds)
    settle(worlds)
    bind(worlds)
    worlds.settle(PERSISTENT_VOLUME_CLAIMS, KEY)
    assert item["spec"]["volumeName"] == VOLUME
    assert item["status"]["phase"] == "Pending"
    worlds.settle(PERSISTENT_VOLUMES, Key("", VOLUME))
    worlds.settle(PERSISTENT_VOLUME_CLAIMS, KEY)
    assert item["status"]["phase"] == "Bound"


@pytest.mark.parametrize("mode", MODES)
def test_a_volume_that_the_host_deletes_with_its_claim_goes_in_the_virtual_cluster_too(mode: str) -> None:
    worlds = worlds_of(mode)
    bound(worlds)
    del worlds.here[PERSISTENT_VOLUME_CLAIMS, KEY]
    worlds.settle(PERSISTENT_VOLUME_CLAIMS, KEY)
    assert (PERSISTENT_VOLUME_CLAIMS, NAME) not in worlds.there
    worlds.there.pop((PERSISTENT_VOLUMES, VOLUME))
    settle(worlds)
    assert (PERSISTENT_VOLUMES, Key("", VOLUME)) not in worlds.here


@REAL
def test_a_volume_that_is_retained_is_shown_for_as_long_as_the_host_has_it(mode: str) -> None:
    worlds = worlds_of(mode)
    bound(worlds, policy="Retain")
    del worlds.here[PERSISTENT_VOLUME_CLAIMS, KEY]
    worlds.settle(PERSISTENT_VOLUME_CLAIMS, KEY)
    worlds.there[PERSISTENT_VOLUMES, VOLUME]["status"] = {"phase": "Released"}
    settle(worlds)
    assert stand_in(worlds)["status"]["phase"] == "Released"
    assert stand_in(worlds)["spec"]["claimRef"]["name"] == "data"
    del worlds.there[PERSISTENT_VOLUMES, VOLUME]
    settle(worlds)
    assert (PERSISTENT_VOLUMES, Key("", VOLUME)) not in worlds.here


@pytest.mark.parametrize(("mode", "is_deleted"), [(MODES[0], True), (MODES[1], False)])
def test_a_retained_volume_that_its_user_deletes_goes_where_that_may_be(mode: str, is_deleted: bool) -> None:
    worlds = worlds_of(mode)
    bound(worlds, policy="Retain")
    del worlds.here[PERSISTENT_VOLUME_CLAIMS, KEY]
    worlds.settle(PERSISTENT_VOLUME_CLAIMS, KEY)
    worlds.there[PERSISTENT_VOLUMES, VOLUME]["status"] = {"phase": "Released"}
    settle(worlds)
    del worlds.here[PERSISTENT_VOLUMES, Key("", VOLUME)]
    settle(worlds)
    assert ((PERSISTENT_VOLUMES, VOLUME) not in worlds.there) == is_deleted
    assert (PERSISTENT_VOLUMES, Key("", VOLUME)) not in worlds.here


@pytest.mark.parametrize("phase", ["Bound", "Available"])
def test_a_host_volume_that_is_not_left_over_is_not_deleted(worlds: Worlds, phase: str) -> None:
    reference = {"namespace": worlds.tenant.host_namespace, "name": "somebody", "uid": "x"}
    spec = {"claimRef": reference, "persistentVolumeReclaimPolicy": "Retain"}
    worlds.put_host(PERSISTENT_VOLUMES, VOLUME, spec=spec, status={"phase": phase})
    assert list(worlds.look(PERSISTENT_VOLUMES, Key("", VOLUME))) == []


def test_a_volume_of_another_namespace_of_the_host_is_not_ours(worlds: Worlds) -> None:
    item = worlds.put_host(PERSISTENT_VOLUMES, "pv", spec={"claimRef": {"namespace": "x", "name": "y"}})
    kind = worlds.kinds[PERSISTENT_VOLUMES]
    assert kind.host_key(item, worlds.tenant) is None
    assert kind.host_key({**item, "spec": {}}, worlds.tenant) is None
    assert kind.host_key({**item, "spec": {"claimRef": {"namespace": "vc-a1-ns"}}}, worlds.tenant) == Key("", "pv")


def each_namespace() -> tuple[Worlds, str]:
    """A tenant whose virtual namespaces have host namespaces of their own, and the name of `default`'s."""
    worlds = Worlds(tenant(each_namespace=True), on=[MODES[0], "to_host.namespaces"])
    worlds.settle(NAMESPACES, Key("", "default"))
    return worlds, host_namespace_of(worlds.tenant, "default")


def test_claims_are_bound_in_a_host_namespace_of_their_own() -> None:
    worlds, namespace = each_namespace()
    bound(worlds)
    assert host_claim(worlds)["metadata"]["namespace"] == namespace
    assert stand_in(worlds)["spec"]["claimRef"]["namespace"] == "default"


@pytest.mark.parametrize("is_ours", [True, False])
def test_only_what_is_left_in_a_namespace_of_ours_is_given_up(is_ours: bool) -> None:
    worlds, namespace = each_namespace()
    reference = {"namespace": namespace if is_ours else "somebodys", "name": "old", "uid": "x"}
    spec = {"claimRef": reference, "persistentVolumeReclaimPolicy": "Retain"}
    host = worlds.put_host(PERSISTENT_VOLUMES, VOLUME, spec=spec, status={"phase": "Released"})
    assert worlds.kinds[PERSISTENT_VOLUMES].host_key(host, worlds.tenant) == Key("", VOLUME)
    assert bool(worlds.look(PERSISTENT_VOLUMES, Key("", VOLUME))) == is_ours


@pytest.mark.parametrize(("mode", "policy"), [(MODES[0], "Retain"), (MODES[1], "Delete")])
def test_what_becomes_of_the_data_is_the_users_decision_where_it_may_be(mode: str, policy: str) -> None:
    worlds = worlds_of(mode)
    bound(worlds)
    stand_in(worlds)["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
    settle(worlds)
    assert stand_in(worlds)["spec"]["persistentVolumeReclaimPolicy"] == policy
    assert worlds.there[PERSISTENT_VOLUMES, VOLUME]["spec"]["persistentVolumeReclaimPolicy"] == policy


def test_a_policy_that_the_host_changes_is_followed(worlds: Worlds) -> None:
    bound(worlds)
    worlds.there[PERSISTENT_VOLUMES, VOLUME]["spec"]["persistentVolumeReclaimPolicy"] = "Retain"
    settle(worlds)
    assert stand_in(worlds)["spec"]["persistentVolumeReclaimPolicy"] == "Retain"


@pytest.mark.parametrize("mode", MODES)
def test_more_room_is_asked_for_and_shown(mode: str) -> None:
    worlds = worlds_of(mode)
    item = bound(worlds)
    item["spec"]["resources"] = {"requests": {"storage": "5Gi"}}
    settle(worlds)
    assert host_claim(worlds)["spec"]["resources"]["requests"] == {"storage": "5Gi"}
    condition = {"type": "FileSystemResizePending", "status": "True", "message": f"claim {NAME} waits"}
    host_claim(worlds)["status"]["conditions"] = [condition]
    settle(worlds)
    assert item["status"]["conditions"][0]["message"] == "claim data waits"
    host_claim(worlds)["status"].update(conditions=[], capacity={"storage": "5Gi"})
    worlds.there[PERSISTENT_VOLUMES, VOLUME]["spec"]["capacity"] = {"storage": "5Gi"}
    settle(worlds)
    assert not item["status"].get("conditions")
    assert item["status"]["capacity"] == stand_in(worlds)["spec"]["capacity"] == {"storage": "5Gi"}


def test_a_claim_without_a_class_gets_the_one_that_the_host_gives_it(worlds: Worlds) -> None:
    item = claim(worlds)
    del item["spec"]["storageClassName"]
    settle(worlds)
    assert "storageClassName" not in host_claim(worlds)["spec"]
    host_claim(worlds)["spec"]["storageClassName"] = "hosts"
    settle(worlds)
    assert item["spec"]["storageClassName"] == "hosts"
    item["spec"]["storageClassName"] = ""
    host_claim(worlds)["spec"]["storageClassName"] = ""
    assert list(worlds.look(PERSISTENT_VOLUME_CLAIMS, KEY)) == []


@pytest.mark.parametrize("field", ["dataSource", "dataSourceRef"])
def test_a_claim_is_filled_from_another_one(worlds: Worlds, field: str) -> None:
    spec: dict[str, Any] = {field: {"kind": "PersistentVolumeClaim", "name": "old"}}
    claim(worlds, **spec)
    settle(worlds)
    assert host_claim(worlds)["spec"][field] == {
        "kind": "PersistentVolumeClaim",
        "name": host_name("vc-a1", "default", "old"),
    }


def test_a_claim_is_filled_from_one_of_another_namespace(worlds: Worlds) -> None:
    claim(worlds, dataSourceRef={"kind": "PersistentVolumeClaim", "name": "old", "namespace": "shop"})
    settle(worlds)
    assert host_claim(worlds)["spec"]["dataSourceRef"]["name"] == host_name("vc-a1", "shop", "old")
    assert "namespace" not in host_claim(worlds)["spec"]["dataSourceRef"]


def test_where_namespaces_are_apart_on_the_host_it_names_the_one_there() -> None:
    worlds, _ = each_namespace()
    claim(worlds, dataSourceRef={"kind": "PersistentVolumeClaim", "name": "old", "namespace": "shop"})
    settle(worlds)
    assert host_claim(worlds)["spec"]["dataSourceRef"]["namespace"] == host_namespace_of(worlds.tenant, "shop")


def test_what_is_not_on_the_host_can_fill_no_claim(worlds: Worlds) -> None:
    claim(worlds, dataSource={"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "monday"})
    (refusal,) = worlds.look(PERSISTENT_VOLUME_CLAIMS, KEY)
    assert isinstance(refusal, Refuse)
    assert "VolumeSnapshot 'monday'" in refusal.message


def test_the_node_that_the_hosts_scheduler_chose_is_shown_by_its_virtual_name(worlds: Worlds) -> None:
    node = worlds.node("node-1")
    item = claim(worlds)
    settle(worlds)
    annotations = host_claim(worlds)["metadata"]["annotations"]
    annotations["volume.kubernetes.io/selected-node"] = node
    settle(worlds)
    assert item["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "node-1"
    # Nothing could be made there: the scheduler is to choose again.
    del host_claim(worlds)["metadata"]["annotations"]["volume.kubernetes.io/selected-node"]
    settle(worlds)
    assert "volume.kubernetes.io/selected-node" not in item["metadata"]["annotations"]
    assert "volume.kubernetes.io/selected-node" not in host_claim(worlds)["metadata"]["annotations"]


def test_the_node_that_a_scheduler_of_the_virtual_cluster_chose_reaches_the_host(worlds: Worlds) -> None:
    node = worlds.node("node-1")
    item = claim(worlds, metadata={"annotations": {"volume.kubernetes.io/selected-node": "node-1"}})
    settle(worlds)
    assert host_claim(worlds)["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == node
    del item["metadata"]["annotations"]["volume.kubernetes.io/selected-node"]
    settle(worlds)
    assert "volume.kubernetes.io/selected-node" not in host_claim(worlds)["metadata"]["annotations"]


def test_no_user_tells_the_hosts_controllers_that_a_claim_is_bound(worlds: Worlds) -> None:
    claim(worlds, metadata={"annotations": {"pv.kubernetes.io/bind-completed": "yes", "mine": "1"}})
    settle(worlds)
    annotations = host_claim(worlds)["metadata"]["annotations"]
    assert annotations["mine"] == "1"
    assert "pv.kubernetes.io/bind-completed" not in annotations


@pytest.mark.parametrize("mode", MODES)
def test_a_bound_claim_whose_host_claim_was_deleted_gets_a_new_one_and_its_user_is_told(mode: str) -> None:
    worlds = worlds_of(mode)
    item = bound(worlds)
    del worlds.there[PERSISTENT_VOLUME_CLAIMS, NAME]
    worlds.there.pop((PERSISTENT_VOLUMES, VOLUME))
    created, refusal = worlds.look(PERSISTENT_VOLUME_CLAIMS, KEY)
    assert isinstance(created, CreateHost)
    assert isinstance(refusal, Refuse)
    assert VOLUME in refusal.message
    settle(worlds)
    assert "volumeName" not in host_claim(worlds)["spec"]
    assert item["status"]["phase"] == "Bound", "it was bound, and nothing of the virtual cluster unbinds it"
    bind(worlds, "pvc-0002", hostPath={"path": "/tmp/hostpath_pv/0002"})
    settle(worlds)
    assert item["spec"]["volumeName"] == VOLUME
    assert item["status"]["phase"] == "Bound"
    assert (PERSISTENT_VOLUMES, Key("", "pvc-0002")) not in worlds.here
    if mode:
        assert stand_in(worlds)["spec"]["hostPath"] == {"path": "/tmp/hostpath_pv/0002"}
    del worlds.here[PERSISTENT_VOLUME_CLAIMS, KEY]
    worlds.settle(PERSISTENT_VOLUME_CLAIMS, KEY)
    del worlds.there[PERSISTENT_VOLUMES, "pvc-0002"]
    settle(worlds)
    assert (PERSISTENT_VOLUMES, Key("", VOLUME)) not in worlds.here


def test_a_claim_that_is_made_again_under_its_name_gets_a_host_claim_of_its_own(worlds: Worlds) -> None:
    bound(worlds)
    old = host_claim(worlds)["metadata"]["uid"]
    claim(worlds)
    assert worlds.look(PERSISTENT_VOLUME_CLAIMS, KEY) == (DeleteHost(PERSISTENT_VOLUME_CLAIMS, NAME, old),)
    settle(worlds)
    assert host_claim(worlds)["metadata"]["uid"] != old
    assert "volumeName" not in host_claim(worlds)["spec"]


def test_a_volume_that_a_user_made_is_his(worlds: Worlds) -> None:
    mine = {"hostPath": {"path": "/data"}, "capacity": {"storage": "1Gi"}}
    worlds.put(PERSISTENT_VOLUMES, "", VOLUME, spec=mine, status={"phase": "Available"})
    item = claim(worlds)
    settle(worlds)
    bind(worlds)
    settle(worlds)
    assert stand_in(worlds)["spec"] == mine
    assert item["status"]["phase"] == "Pending"


def test_a_stand_in_is_removed_though_it_is_protected(worlds: Worlds) -> None:
    bound(worlds)
    volume = stand_in(worlds)
    volume["metadata"].update(
        finalizers=["kubernetes.io/pv-protection", "mine"], deletionTimestamp="2026-11-21T10:00:00Z"
    )
    del worlds.here[PERSISTENT_VOLUME_CLAIMS, KEY]
    worlds.settle(PERSISTENT_VOLUME_CLAIMS, KEY)
    del worlds.there[PERSISTENT_VOLUMES, VOLUME]
    settle(worlds)
    assert volume["metadata"]["finalizers"] == ["mine"]


def test_the_hosts_secrets_and_names_are_not_told(worlds: Worlds) -> None:
    claim(worlds)
    settle(worlds)
    own = host_claim(worlds)["metadata"]
    node = worlds.node("node-1")
    bind(
        worlds,
        csi={
            "driver": "d",
            "volumeHandle": "h",
            "nodeStageSecretRef": {"name": "s", "namespace": "n"},
            "volumeAttributes": {
                "csi.storage.k8s.io/pvc/name": own["name"],
                "csi.storage.k8s.io/pvc/namespace": own["namespace"],
            },
        },
        nodeAffinity={
            "required": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "values": [node]}]}]}
        },
    )
    settle(worlds)
    spec = stand_in(worlds)["spec"]
    assert spec["csi"] == {
        "driver": "d",
        "volumeHandle": "h",
        "volumeAttributes": {
            "csi.storage.k8s.io/pvc/name": "data",
            "csi.storage.k8s.io/pvc/namespace": "default",
        },
    }
    [term] = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchFields"][0]["values"] == ["node-1"]


quantities = st.sampled_from(["1Gi", "2Gi", "100Mi"])
specs = st.fixed_dictionaries(
    {
        "accessModes": st.lists(st.sampled_from(["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"]), min_size=1),
        "resources": st.fixed_dictionaries({"requests": st.fixed_dictionaries({"storage": quantities})}),
    },
    optional={
        "storageClassName": st.sampled_from(["", "standard"]),
        "volumeMode": st.sampled_from(["Filesystem", "Block"]),
        "volumeAttributesClassName": st.just("gold"),
        "selector": st.just({"matchLabels": {"a": "b"}}),
        "dataSource": st.just({"kind": "PersistentVolumeClaim", "name": "old"}),
    },
)
annotations = st.dictionaries(
    st.sampled_from(["pv.kubernetes.io/bind-completed", "volume.kubernetes.io/selected-node", "mine"]),
    st.sampled_from(["yes", "node-1"]),
)


@settings(max_examples=60)
@given(specs, annotations, st.sampled_from(MODES), st.sampled_from(["Delete", "Retain"]), quantities)
def test_any_claim_comes_to_rest_bound_and_tells_nothing_of_the_host(
    spec: dict[str, Any], noted: dict[str, str], mode: str, policy: str, more: str
) -> None:
    worlds = worlds_of(mode)
    worlds.node("node-1")
    item = worlds.put(PERSISTENT_VOLUME_CLAIMS, "default", "data", metadata={"annotations": noted}, spec=spec)
    settle(worlds)
    bind(worlds, policy=policy)
    settle(worlds)
    item["spec"] = {**item["spec"], "resources": {"requests": {"storage": more}}}
    settle(worlds)
    assert item["status"]["phase"] == "Bound"
    assert item["spec"]["volumeName"] == VOLUME
    assert host_claim(worlds)["spec"]["resources"] == item["spec"]["resources"]
    for resource, key in ((PERSISTENT_VOLUME_CLAIMS, KEY), (PERSISTENT_VOLUMES, Key("", VOLUME))):
        assert list(worlds.look(resource, key)) == []
    shown = repr((item, stand_in(worlds)))
    assert NAME not in shown
    assert worlds.tenant.host_namespace not in shown

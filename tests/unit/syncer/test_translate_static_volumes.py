"""Volumes that users made, on the host: reserved, bound, given up."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from syncer_worlds import Worlds, tenant
from vcluster_syncer.model import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    SECRETS,
    STORAGE_CLASSES,
    Key,
)
from vcluster_syncer.naming import host_name
from vcluster_syncer.translate import volume_matching

ON = "to_host.persistent_volumes"
DISK = host_name("vc-a1", "", "disk")
DATA = host_name("vc-a1", "default", "data")
NFS = {"nfs": {"server": "10.0.0.1", "path": "/"}}


@pytest.fixture
def worlds() -> Worlds:
    return Worlds(tenant(), on=[ON])


def volume(worlds: Worlds, name: str = "disk", size: str = "2Gi", **spec: Any) -> dict[str, Any]:
    wanted = {
        "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
        "capacity": {"storage": size},
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "manual",
        **NFS,
        **spec,
    }
    metadata = wanted.pop("metadata", {})
    return worlds.put(PERSISTENT_VOLUMES, "", name, metadata=metadata, spec=wanted, status={"phase": "Pending"})


def claim(worlds: Worlds, name: str = "data", size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    wanted = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
        "storageClassName": "manual",
        **spec,
    }
    return worlds.put(PERSISTENT_VOLUME_CLAIMS, "default", name, spec=wanted, status={"phase": "Pending"})


def settle(worlds: Worlds) -> None:
    for _ in range(4):
        for resource in (PERSISTENT_VOLUMES, PERSISTENT_VOLUME_CLAIMS):
            keys = {key for kind, key in worlds.here if kind == resource}
            host_key = worlds.kinds[resource].host_key
            found = [host_key(item, worlds.tenant) for (kind, _), item in worlds.there.items() if kind == resource]
            for key in keys | {key for key in found if key is not None}:
                worlds.settle(resource, key)


def reserved_for(worlds: Worlds, name: str = DISK) -> tuple[str, str]:
    reference = worlds.there[PERSISTENT_VOLUMES, name]["spec"]["claimRef"]
    return reference["namespace"], reference["name"]


def bind(worlds: Worlds, disk: str = DISK, data: str = DATA) -> None:
    """Play the host's binder, who binds what is reserved."""
    there, claimed = worlds.there[PERSISTENT_VOLUMES, disk], worlds.there[PERSISTENT_VOLUME_CLAIMS, data]
    assert there["spec"]["claimRef"]["name"] == data
    there["spec"]["claimRef"]["uid"] = claimed["metadata"]["uid"]
    there["status"] = {"phase": "Bound"}
    claimed["spec"]["volumeName"] = disk
    claimed["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] = "yes"
    claimed["status"] = {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}}


def bound(worlds: Worlds) -> tuple[dict[str, Any], dict[str, Any]]:
    disk, data = volume(worlds), claim(worlds)
    settle(worlds)
    bind(worlds)
    settle(worlds)
    return disk, data


def test_it_is_on_the_host_and_nobody_elses_claim_can_have_it(worlds: Worlds) -> None:
    volume(worlds)
    settle(worlds)
    there = worlds.there[PERSISTENT_VOLUMES, DISK]
    assert {**NFS, "storageClassName": "manual"}.items() <= there["spec"].items()
    assert reserved_for(worlds) == ("vc-a1-ns", DISK)


def test_what_the_host_says_of_it_is_shown(worlds: Worlds) -> None:
    disk = volume(worlds)
    settle(worlds)
    worlds.there[PERSISTENT_VOLUMES, DISK]["status"] = {"phase": "Available"}
    settle(worlds)
    assert disk["status"]["phase"] == "Available"


@pytest.mark.parametrize("by", ["volume", "claim", "nobody"])
def test_a_claim_is_bound_to_it_whoever_names_whom(worlds: Worlds, by: str) -> None:
    reference = {"claimRef": {"namespace": "default", "name": "data"}} if by == "volume" else {}
    disk = volume(worlds, **reference)
    data = claim(worlds, **({"volumeName": "disk"} if by == "claim" else {}))
    settle(worlds)
    assert reserved_for(worlds) == ("vc-a1-ns", DATA)
    bind(worlds)
    settle(worlds)
    assert disk["spec"]["claimRef"]["uid"] == data["metadata"]["uid"]
    assert disk["status"]["phase"] == data["status"]["phase"] == "Bound"
    assert data["spec"]["volumeName"] == "disk"


def test_a_claim_that_was_there_before_gets_it(worlds: Worlds) -> None:
    claim(worlds)
    settle(worlds)
    assert "volumeName" not in worlds.there[PERSISTENT_VOLUME_CLAIMS, DATA]["spec"]
    volume(worlds)
    settle(worlds)
    assert reserved_for(worlds) == ("vc-a1-ns", DATA)


def test_a_claim_that_comes_later_names_it_so_that_nothing_is_provisioned_meanwhile(worlds: Worlds) -> None:
    volume(worlds)
    settle(worlds)
    claim(worlds)
    settle(worlds)
    assert worlds.there[PERSISTENT_VOLUME_CLAIMS, DATA]["spec"]["volumeName"] == DISK


@pytest.mark.parametrize(
    "wanted",
    [
        {"size": "3Gi"},
        {"storageClassName": "other"},
        {"accessModes": ["ReadWriteOncePod"]},
        {"volumeMode": "Block"},
        {"selector": {"matchLabels": {"disk": "fast"}}},
    ],
)
def test_what_does_not_suit_a_claim_is_not_reserved_for_it(worlds: Worlds, wanted: dict[str, Any]) -> None:
    volume(worlds)
    claim(worlds, **wanted)
    settle(worlds)
    assert reserved_for(worlds) == ("vc-a1-ns", DISK)


def test_the_smallest_that_suits_is_taken_and_the_oldest_claim_is_served_first(worlds: Worlds) -> None:
    for name, size in (("large", "8Gi"), ("small", "2Gi"), ("tiny", "100Mi")):
        volume(worlds, name, size)
    for number, name in enumerate(("data", "more")):
        claim(worlds, name)["metadata"]["creationTimestamp"] = f"2026-01-01T00:00:0{number}Z"
    assert volume_matching.assigned(worlds) == {Key("default", "data"): "small", Key("default", "more"): "large"}


def test_what_was_begun_is_gone_on_with_when_a_better_one_comes(worlds: Worlds) -> None:
    volume(worlds, "large", "8Gi")
    claim(worlds)
    settle(worlds)
    volume(worlds, "small", "2Gi")
    settle(worlds)
    assert reserved_for(worlds, host_name("vc-a1", "", "large")) == ("vc-a1-ns", DATA)
    assert reserved_for(worlds, host_name("vc-a1", "", "small"))[1] != DATA


def test_for_a_class_that_waits_for_pods_nothing_is_chosen_here() -> None:
    worlds = Worlds(tenant(), on=[ON, "from_host.storage_classes"])
    worlds.put(STORAGE_CLASSES, "", "manual", volumeBindingMode="WaitForFirstConsumer")
    volume(worlds)
    claim(worlds)
    assert volume_matching.assigned(worlds) == {}


def test_when_its_claim_goes_it_is_released_and_stays_so_until_the_user_frees_it(worlds: Worlds) -> None:
    disk, _ = bound(worlds)
    del worlds.here[PERSISTENT_VOLUME_CLAIMS, Key("default", "data")]
    worlds.there[PERSISTENT_VOLUMES, DISK]["status"] = {"phase": "Released"}
    settle(worlds)
    assert disk["status"]["phase"] == "Released"
    claim(worlds)
    settle(worlds)
    assert worlds.there[PERSISTENT_VOLUMES, DISK]["spec"]["claimRef"]["uid"]
    del disk["spec"]["claimRef"]
    settle(worlds)
    reference = worlds.there[PERSISTENT_VOLUMES, DISK]["spec"]["claimRef"]
    assert (reference["name"], reference.get("uid")) == (DATA, None)


@pytest.mark.parametrize("policy", ["Delete", "Recycle", "Retain"])
def test_what_becomes_of_the_data_is_as_the_user_says(worlds: Worlds, policy: str) -> None:
    disk, _ = bound(worlds)
    disk["spec"]["persistentVolumeReclaimPolicy"] = policy
    settle(worlds)
    assert worlds.there[PERSISTENT_VOLUMES, DISK]["spec"]["persistentVolumeReclaimPolicy"] == policy


def test_one_that_the_host_deletes_with_its_claim_goes(worlds: Worlds) -> None:
    disk, _ = bound(worlds)
    disk["metadata"]["finalizers"] = ["kubernetes.io/pv-protection"]
    del worlds.here[PERSISTENT_VOLUME_CLAIMS, Key("default", "data")]
    del worlds.there[PERSISTENT_VOLUMES, DISK]
    settle(worlds)
    assert (PERSISTENT_VOLUMES, Key("", "disk")) not in worlds.here


def test_one_that_is_deleted_on_the_host_behind_everybodys_back_is_made_again(worlds: Worlds) -> None:
    bound(worlds)
    del worlds.there[PERSISTENT_VOLUMES, DISK]
    settle(worlds)
    assert reserved_for(worlds) == ("vc-a1-ns", DATA)


def test_it_goes_with_the_users(worlds: Worlds) -> None:
    disk = volume(worlds)
    settle(worlds)
    disk["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["kubernetes.io/pv-protection"]}
    settle(worlds)
    assert not worlds.there
    assert not disk["metadata"].get("finalizers")


def test_the_secrets_of_its_driver_go_along(worlds: Worlds) -> None:
    reference = {"name": "key", "namespace": "default"}
    csi = {"driver": "d", "volumeHandle": "h", "nodeStageSecretRef": reference}
    disk = volume(worlds, csi=csi)
    worlds.put(SECRETS, "default", "key", type="Opaque", data={})
    worlds.settle(SECRETS, Key("default", "key"))
    settle(worlds)
    there = worlds.there[PERSISTENT_VOLUMES, DISK]["spec"]["csi"]["nodeStageSecretRef"]
    assert there == {"name": host_name("vc-a1", "default", "key"), "namespace": "vc-a1-ns"}
    assert (SECRETS, there["name"]) in worlds.there
    assert disk["spec"]["csi"]["nodeStageSecretRef"] == reference


@pytest.mark.parametrize("mode", ["from_host.persistent_volumes", ""])
def test_where_it_may_not_be_on_the_host_the_user_is_told(mode: str) -> None:
    worlds = Worlds(tenant(), on=[mode] if mode else [])
    volume(worlds)
    claim(worlds, volumeName="disk")
    settle(worlds)
    assert {each.reason for each in worlds.refused} == {"VolumeNotCarried"}
    assert "to_host.persistent_volumes" in worlds.refused[0].message
    assert not [name for kind, name in worlds.there if kind == PERSISTENT_VOLUMES]


def test_a_foreign_volume_of_its_name_is_left_alone(worlds: Worlds) -> None:
    volume(worlds)
    foreign = worlds.put_host(PERSISTENT_VOLUMES, DISK, spec=dict(NFS), status={})
    worlds.settle(PERSISTENT_VOLUMES, Key("", "disk"))
    assert {each.reason for each in worlds.refused} == {"NameTaken"}
    assert foreign["spec"] == NFS


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["100Mi", "1Gi", "2Gi", "8Gi"]), max_size=4),
    st.lists(st.sampled_from(["1Gi", "2Gi"]), max_size=4),
    st.booleans(),
)
def test_no_two_claims_get_one_volume_nor_one_claim_two(volumes: list[str], claims: list[str], first: bool) -> None:
    worlds = Worlds(tenant(), on=[ON])
    for number, size in enumerate(volumes if first else []):
        volume(worlds, f"disk-{number}", size)
    for number, size in enumerate(claims):
        claim(worlds, f"data-{number}", size)
    settle(worlds)
    for number, size in enumerate([] if first else volumes):
        volume(worlds, f"disk-{number}", size)
    settle(worlds)
    named = {host_name("vc-a1", "default", f"data-{number}") for number in range(len(claims))}
    reserved = [
        item["spec"]["claimRef"]["name"] for (kind, _), item in worlds.there.items() if kind == PERSISTENT_VOLUMES
    ]
    assert len(reserved) == len(set(reserved)) == len(volumes)
    assert len(named & set(reserved)) == len(volume_matching.assigned(worlds))
    wishes = [
        wish
        for (kind, _), item in worlds.there.items()
        if kind == PERSISTENT_VOLUME_CLAIMS and (wish := item["spec"].get("volumeName"))
    ]
    assert len(wishes) == len(set(wishes))


def test_one_of_an_epoch_that_is_over_is_nobodys(worlds: Worlds) -> None:
    volume(worlds)
    settle(worlds)
    there, host_key = worlds.there[PERSISTENT_VOLUMES, DISK], worlds.kinds[PERSISTENT_VOLUMES].host_key
    assert host_key(there, worlds.tenant) == Key("", "disk")
    assert host_key(there, tenant(drains_in_background=True, epoch=1)) is None

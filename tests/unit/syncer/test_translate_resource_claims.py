"""Claims of devices: to the host, and what is allocated back."""

from typing import Any

import pytest
from syncer_worlds import Worlds, pod, run_on_host, tenant
from vcluster_syncer.model import (
    DEVICE_CLASSES,
    PODS,
    RESOURCE_CLAIMS,
    CreateHost,
    Key,
)
from vcluster_syncer.naming import host_name
from vcluster_syncer.translate import references

ON = ("to_host.resource_claims", "from_host.device_classes")
WEB, GPU = Key("default", "web"), Key("default", "gpu")
SPEC = {"devices": {"requests": [{"name": "one", "exactly": {"deviceClassName": "gpus", "count": 1}}]}}
RESULT = {"request": "one", "driver": "gpus.example.com", "pool": "p", "device": "d0"}
NAME = host_name("vc-a1", *GPU)


@pytest.fixture
def worlds() -> Worlds:
    return Worlds(tenant(), on=ON)


def claim(worlds: Worlds, name: str = "gpu") -> dict[str, Any]:
    return worlds.put(RESOURCE_CLAIMS, "default", name, spec=SPEC, status={})


def claims_of(worlds: Worlds) -> list[dict[str, str]]:
    (created,) = [each for each in worlds.look(PODS, WEB) if isinstance(each, CreateHost)]
    found: list[dict[str, str]] = created.object["spec"]["resourceClaims"]
    return found


def test_a_pod_names_its_claim_as_the_host_knows_it(worlds: Worlds) -> None:
    claim(worlds)
    containers = [{"name": "main", "image": "a", "resources": {"claims": [{"name": "device"}]}}]
    pod(worlds, resourceClaims=[{"name": "device", "resourceClaimName": "gpu"}], containers=containers)
    worlds.settle(RESOURCE_CLAIMS, GPU)
    assert worlds.there[RESOURCE_CLAIMS, NAME]["spec"] == SPEC
    assert claims_of(worlds) == [{"name": "device", "resourceClaimName": NAME}]


def test_a_pod_waits_for_the_claim_that_is_made_for_it(worlds: Worlds) -> None:
    made = pod(worlds, resourceClaims=[{"name": "device", "resourceClaimTemplateName": "gpus"}])
    assert list(worlds.look(PODS, WEB)) == []
    made["status"]["resourceClaimStatuses"] = [{"name": "device", "resourceClaimName": "web-device-x7k2p"}]
    named = host_name("vc-a1", "default", "web-device-x7k2p")
    assert claims_of(worlds) == [{"name": "device", "resourceClaimName": named}]
    assert (RESOURCE_CLAIMS, Key("default", "web-device-x7k2p")) in references.of_pod(made)


def allocated(worlds: Worlds) -> dict[str, Any]:
    virtual = claim(worlds)
    node = worlds.node()
    pod(worlds, resourceClaims=[{"name": "device", "resourceClaimName": "gpu"}])
    worlds.settle(RESOURCE_CLAIMS, GPU)
    run_on_host(worlds, node)
    there = worlds.there[PODS, host_name("vc-a1", *WEB)]["metadata"]
    foreign = {"resource": "pods", "name": "other", "uid": "foreign"}
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    worlds.there[RESOURCE_CLAIMS, NAME]["status"] = {
        "allocation": {
            "devices": {"results": [RESULT]},
            "nodeSelector": {"nodeSelectorTerms": [{"matchFields": fields}]},
        },
        "reservedFor": [{"resource": "pods", "name": there["name"], "uid": there["uid"]}, foreign],
    }
    worlds.settle(RESOURCE_CLAIMS, GPU)
    return virtual


def test_what_was_allocated_is_shown_for_virtual_pods_on_virtual_nodes(worlds: Worlds) -> None:
    status = allocated(worlds)["status"]
    assert status["allocation"]["devices"]["results"] == [RESULT]
    (term,) = status["allocation"]["nodeSelector"]["nodeSelectorTerms"]
    assert term["matchFields"][0]["values"] == ["node-1"]
    own = worlds.here[PODS, WEB]["metadata"]
    assert status["reservedFor"] == [{"resource": "pods", "name": "web", "uid": own["uid"]}]


def test_what_is_given_back_is_shown_too(worlds: Worlds) -> None:
    virtual = allocated(worlds)
    worlds.there[RESOURCE_CLAIMS, NAME]["status"] = {}
    worlds.settle(RESOURCE_CLAIMS, GPU)
    assert virtual["status"] == {}


def test_a_claim_goes_with_the_virtual_one(worlds: Worlds) -> None:
    claim(worlds)
    worlds.settle(RESOURCE_CLAIMS, GPU)
    del worlds.here[RESOURCE_CLAIMS, GPU]
    worlds.settle(RESOURCE_CLAIMS, GPU)
    assert not worlds.there


def test_a_foreign_claim_of_that_name_is_left_alone(worlds: Worlds) -> None:
    claim(worlds)
    worlds.put_host(RESOURCE_CLAIMS, NAME, spec={})
    worlds.settle(RESOURCE_CLAIMS, GPU)
    assert {each.reason for each in worlds.refused} == {"NameTaken"}


def test_classes_are_the_hosts(worlds: Worlds) -> None:
    selectors = [{"cel": {"expression": 'device.driver == "gpus.example.com"'}}]
    worlds.put_host(DEVICE_CLASSES, "gpus", spec={"selectors": selectors})
    worlds.settle(DEVICE_CLASSES, Key("", "gpus"))
    assert worlds.here[DEVICE_CLASSES, Key("", "gpus")]["spec"] == {"selectors": selectors}
    worlds.there[DEVICE_CLASSES, "gpus"]["spec"] = {"selectors": []}
    worlds.settle(DEVICE_CLASSES, Key("", "gpus"))
    assert not worlds.here[DEVICE_CLASSES, Key("", "gpus")]["spec"].get("selectors")

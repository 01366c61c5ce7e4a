"""Changes of a pod that the host changed, too."""

from collections.abc import Mapping
from typing import Any

import pytest
from syncer_worlds import Worlds, pod, run_on_host
from vcluster_syncer.model import PODS, Key, PatchHost
from vcluster_syncer.translate.pod_carried import TOLD

WEB = Key("default", "web")
SMALL, LARGE = {"requests": {"cpu": "1"}}, {"requests": {"cpu": "2"}}


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


def both(worlds: Worlds, **spec: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A running pod on both sides."""
    virtual = pod(worlds, **spec)
    run_on_host(worlds, worlds.node())
    worlds.settle(PODS, WEB)
    host = worlds.host(PODS, WEB)
    assert isinstance(host, dict)
    return virtual, host


def edit(worlds: Worlds, virtual: dict[str, Any], **spec: Any) -> list[str]:
    """Let the user change the spec; return the subresources that were patched on the host."""
    virtual["spec"] = {**virtual["spec"], **spec}
    virtual["metadata"]["generation"] += 1
    patched = []
    for _ in range(6):
        actions = worlds.look(PODS, WEB)
        if not actions:
            return patched
        for action in actions:
            if isinstance(action, PatchHost):
                patched.append(action.subresource)
            worlds.do(action)
    raise AssertionError("never comes to rest")


def container(name: str = "main", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "app:1", **fields}


def test_an_image_that_the_host_replaced_is_left_until_the_user_changes_it(worlds: Worlds) -> None:
    virtual, host = both(worlds, containers=[container()])
    host["spec"]["containers"][0]["image"] = "mirror.local/app:1"
    edit(worlds, virtual, tolerations=[{"key": "mine", "operator": "Exists"}])
    assert host["spec"]["containers"][0]["image"] == "mirror.local/app:1"
    edit(worlds, virtual, containers=[container(image="app:2")])
    assert host["spec"]["containers"][0]["image"] == "app:2"


def test_resources_that_the_host_gave_are_left_until_the_user_changes_his(worlds: Worlds) -> None:
    virtual, host = both(worlds, containers=[container()])
    given = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}
    host["spec"]["containers"][0]["resources"] = given
    assert "resize" not in edit(worlds, virtual, tolerations=[{"key": "mine", "operator": "Exists"}])
    assert "resize" in edit(worlds, virtual, containers=[container(resources=LARGE)])
    assert host["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "2", "memory": "128Mi"},
        "limits": {"memory": "1Gi"},
    }


@pytest.mark.parametrize(("policy", "resized"), [("Always", True), (None, False)])
def test_of_init_containers_those_that_go_on_running_are_resized(
    worlds: Worlds, policy: str | None, resized: bool
) -> None:
    fields: Mapping[str, Any] = {"restartPolicy": policy} if policy else {}
    virtual, host = both(worlds, initContainers=[container("proxy", resources=SMALL, **fields)])
    patched = edit(worlds, virtual, initContainers=[container("proxy", resources=LARGE, **fields)])
    assert ("resize" in patched) == resized
    assert host["spec"]["initContainers"][0]["resources"] == (LARGE if resized else SMALL)


def test_a_pod_is_resized_as_a_whole(worlds: Worlds) -> None:
    virtual, host = both(worlds, resources=SMALL)
    assert "resize" in edit(worlds, virtual, resources=LARGE)
    assert host["spec"]["resources"] == LARGE


def test_an_image_and_resources_may_change_at_once(worlds: Worlds) -> None:
    virtual, host = both(worlds, containers=[container(resources=SMALL)])
    host["spec"]["containers"].append({"name": "injected", "image": "mesh:1", "resources": SMALL})
    edit(worlds, virtual, containers=[container(image="app:2", resources=LARGE)])
    main, injected = host["spec"]["containers"]
    assert (main["image"], main["resources"]) == ("app:2", LARGE)
    assert (injected["image"], injected["resources"]) == ("mesh:1", SMALL)


@pytest.mark.parametrize("broken", ["{", "[]", '{"main": []}', '{"main": ["x"]}'])
def test_without_a_record_the_user_is_right(worlds: Worlds, broken: str) -> None:
    virtual, host = both(worlds, containers=[container()])
    host["metadata"]["annotations"][TOLD] = broken
    host["spec"]["containers"][0]["image"] = "old:1"
    edit(worlds, virtual, activeDeadlineSeconds=60)
    assert host["spec"]["containers"][0]["image"] == "app:1"
    assert host["metadata"]["annotations"][TOLD] not in {"{", "[]"}

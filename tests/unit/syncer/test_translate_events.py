import json
from typing import Any

import pytest
from syncer_worlds import Worlds, host_pod, pod, tenant
from vcluster_syncer.model import (
    CONFIGMAPS,
    EVENTS,
    INGRESSES,
    NAMESPACES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    Key,
    Later,
    Resource,
)
from vcluster_syncer.translate import events

WEB = Key("shop", "web")


@pytest.fixture
def worlds() -> Worlds:
    return Worlds()


def event(worlds: Worlds, about: dict[str, Any], **fields: Any) -> dict[str, Any]:
    own = about["metadata"]
    involved = {
        "kind": "Pod",
        "namespace": own["namespace"],
        "name": own["name"],
        "uid": own["uid"],
        "fieldPath": "spec",
    }
    return worlds.put_host(
        EVENTS,
        f"{own['name']}.17ab",
        **{"involvedObject": involved, "reason": "Scheduled", "type": "Normal", "message": "", "count": 1, **fields},
    )


def told(worlds: Worlds) -> list[dict[str, Any]]:
    for resource, name in list(worlds.there):
        if resource == EVENTS:
            worlds.settle(EVENTS, Key("", name))
    return [item for (resource, _), item in worlds.here.items() if resource == EVENTS]


def carried(worlds: Worlds, **spec: Any) -> dict[str, Any]:
    pod(worlds, "web", "shop", **spec)
    return host_pod(worlds, "web", "shop")


def test_is_told_about_the_virtual_object(worlds: Worlds) -> None:
    event(worlds, carried(worlds))
    (made,) = told(worlds)
    assert made["metadata"]["namespace"] == "shop"
    assert made["metadata"]["name"] == "web.17ab"
    assert made["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "shop",
        "name": "web",
        "uid": worlds.here[PODS, WEB]["metadata"]["uid"],
        "fieldPath": "spec",
    }


def test_no_name_of_the_host_is_in_it(worlds: Worlds) -> None:
    worlds.node("node-1")
    node = worlds.node("node-10")
    host = carried(worlds, volumes=[{"name": "v", "configMap": {"name": "settings"}}])
    own = host["metadata"]
    used = host["spec"]["volumes"][0]["configMap"]["name"]
    message = f"assigned {own['namespace']}/{own['name']} to {node}; {own['uid']} lacks {used}"
    event(worlds, host, message=message, source={"component": "kubelet", "host": node}, reportingInstance=node)
    (made,) = told(worlds)
    uid = worlds.here[PODS, WEB]["metadata"]["uid"]
    assert made["message"] == f"assigned shop/web to node-10; {uid} lacks settings"
    assert made["source"] == {"component": "kubelet", "host": "node-10"}
    assert made["reportingInstance"] == "node-10"
    assert not [word for word in (own["name"], own["namespace"], own["uid"], node) if word in json.dumps(made)]


def test_is_told_once_and_its_count_follows(worlds: Worlds) -> None:
    host = event(worlds, carried(worlds))
    told(worlds)
    assert list(worlds.look(EVENTS, Key("", host["metadata"]["name"]))) == []
    host.update(count=7, lastTimestamp="2026-11-21T10:00:07Z", series={"count": 7})
    (made,) = told(worlds)
    assert (made["count"], made["lastTimestamp"], made["series"]) == (7, "2026-11-21T10:00:07Z", {"count": 7})


def test_an_event_that_expired_on_the_host_is_left_to_expire(worlds: Worlds) -> None:
    host = event(worlds, carried(worlds))
    told(worlds)
    del worlds.there[EVENTS, host["metadata"]["name"]]
    assert list(worlds.look(EVENTS, Key("", host["metadata"]["name"]))) == []
    assert len(told(worlds)) == 1


def test_a_namesake_of_old_is_not_meant(worlds: Worlds) -> None:
    host = carried(worlds)
    involved = {"kind": "Pod", "name": host["metadata"]["name"], "uid": "of-the-one-before"}
    event(worlds, host, involvedObject=involved)
    assert told(worlds) == []


@pytest.mark.parametrize("kind", ["Node", "Deployment", "", None])
def test_what_is_not_about_carried_objects_is_nobodys_business(worlds: Worlds, kind: str | None) -> None:
    event(worlds, carried(worlds), involvedObject={"kind": kind, "name": "x"})
    assert told(worlds) == []


CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
INGRESS = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}


@pytest.mark.parametrize(
    ("resource", "spec", "on"), [(PERSISTENT_VOLUME_CLAIMS, CLAIM, ()), (INGRESSES, INGRESS, ("to_host.ingresses",))]
)
def test_is_told_about_whatever_is_carried(resource: Resource, spec: dict[str, Any], on: tuple[str, ...]) -> None:
    worlds = Worlds(on=on)
    worlds.put(resource, "default", "web", spec=spec)
    worlds.settle(resource, Key("default", "web"))
    host = worlds.host(resource, Key("default", "web"))
    assert isinstance(host, dict)
    involved = {"kind": resource.kind, "name": host["metadata"]["name"], "uid": host["metadata"]["uid"]}
    event(worlds, host, involvedObject=involved, message=f"waiting for {host['metadata']['name']}")
    (made,) = told(worlds)
    assert (made["involvedObject"]["kind"], made["involvedObject"]["name"]) == (resource.kind, "web")
    assert made["message"] == "waiting for web"


@pytest.mark.parametrize("kind", ["Ingress", "Namespace"])
def test_of_kinds_that_are_off_nothing_is_told_or_waited_for(worlds: Worlds, kind: str) -> None:
    worlds.now = 1_795_255_205.0
    made = event(
        worlds, carried(worlds), involvedObject={"kind": kind, "name": "x"}, lastTimestamp="2026-11-21T10:00:00Z"
    )
    assert list(worlds.look(EVENTS, Key("", made["metadata"]["name"]))) == []


def test_names_of_other_carried_objects_are_the_virtual_ones(worlds: Worlds) -> None:
    pod(worlds, "other", "shop")
    other = host_pod(worlds, "other", "shop")["metadata"]["name"]
    host = carried(worlds)
    stranger = "somebody-else-abcdefghijklmnop"
    event(worlds, host, message=f"preempted by {other}, not by {stranger}")
    (made,) = told(worlds)
    assert made["message"] == f"preempted by other, not by {stranger}"


def test_what_is_about_a_foreign_object_is_not_told(worlds: Worlds) -> None:
    event(
        worlds,
        worlds.put_host(CONFIGMAPS, "kube-root-ca.crt"),
        involvedObject={"kind": "ConfigMap", "name": "kube-root-ca.crt"},
    )
    assert told(worlds) == []


def test_a_fresh_event_waits_a_moment_for_its_object(worlds: Worlds) -> None:
    worlds.now = 1_795_255_205.0
    at = "2026-11-21T10:00:00Z"
    made = event(worlds, {"metadata": {"name": "x", "namespace": "vc-a1-ns", "uid": "u"}}, lastTimestamp=at)
    key = Key("", made["metadata"]["name"])
    (later,) = worlds.look(EVENTS, key)
    assert isinstance(later, Later)
    worlds.now += 10
    assert list(worlds.look(EVENTS, key)) == []


@pytest.mark.parametrize("state", ["terminating", "gone"])
def test_a_namespace_on_its_way_out_gets_no_new_events(worlds: Worlds, state: str) -> None:
    event(worlds, carried(worlds))
    namespace = worlds.here[NAMESPACES, Key("", "shop")]
    namespace["metadata"]["deletionTimestamp"] = "2026-11-21T10:00:00Z"
    if state == "gone":
        del worlds.here[NAMESPACES, Key("", "shop")]
    assert told(worlds) == []


def test_a_name_that_does_not_begin_with_the_objects_is_hashed(worlds: Worlds) -> None:
    host = carried(worlds)
    made = event(worlds, host)
    del worlds.there[EVENTS, made["metadata"]["name"]]
    worlds.there[EVENTS, "odd"] = {**made, "metadata": {**made["metadata"], "name": "odd"}}
    (one,) = told(worlds)
    assert one["metadata"]["name"].startswith("web.")
    assert "odd" not in one["metadata"]["name"]


def test_another_namespaces_events_are_not_ours() -> None:
    item = {"metadata": {"name": "e", "namespace": "somewhere"}}
    assert events.KIND.host_key(item, tenant()) is None

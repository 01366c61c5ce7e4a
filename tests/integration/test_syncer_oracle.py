"""That the oracle of the random tests sees what is wrong."""

import pytest
from oracle import differences, disagreements, expected, observed


def obj(name, uid, **fields):
    return {"metadata": {"namespace": "default", "name": name, "uid": uid}, **fields}


def virtual():
    container = {"name": "main", "image": "app:1", "envFrom": [{"configMapRef": {"name": "used"}}]}
    tokens = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    return {
        "pods": [obj("web", "1", spec={"containers": [container], "volumes": [tokens]})],
        "configmaps": [obj("used", "2", data={"a": "b"}), obj("unused", "3", data={})],
        "secrets": [],
        "services": [obj("web", "4", spec={"clusterIP": "10.0.0.5", "ports": [{"port": 80}]})],
    }


def copy(plural, kind, name, uid, **fields):
    notes = {"namespace": "default", "name": name, "uid": uid, "kind": kind}
    metadata = {"name": f"{name}-{plural}", "annotations": {f"vcluster-syncer/{key}": it for key, it in notes.items()}}
    return {"metadata": {**metadata, "uid": f"host-{uid}"}, **fields}


def host():
    return {
        "pods": [copy("pods", "Pod", "web", "1", spec={"containers": [{"name": "main", "image": "app:1"}]})],
        "configmaps": [copy("configmaps", "ConfigMap", "used", "2", data={"a": "b"})],
        "secrets": [copy("secrets", "Pod", "web", "1", data={"token": "eA=="})],
        "services": [copy("services", "Service", "web", "4", spec={"clusterIP": "10.0.0.5", "ports": [{"port": 80}]})],
    }


def wrong(there):
    return differences(expected(virtual()), observed(there))


def test_what_is_right_is_right():
    assert wrong(host()) == []


@pytest.mark.parametrize("plural", ["pods", "configmaps", "secrets", "services"])
def test_what_is_missing_twice_there_or_somebody_elses_is_told(plural):
    without = {**host(), plural: []}
    assert [line.split(":")[0] for line in wrong(without)] == ["missing"]
    twice = {**host(), plural: [*host()[plural], {**host()[plural][0]}]}
    assert [line.split(":")[0] for line in wrong(twice)] == ["surplus"]
    foreign = {**host(), plural: [*host()[plural], {**obj("x", "9", spec={"containers": []})}]}
    assert [line.split(":")[0] for line in wrong(foreign)] == ["surplus"]
    predecessor = host()
    predecessor[plural][0]["metadata"]["annotations"]["vcluster-syncer/uid"] = "0"
    [line] = wrong(predecessor)
    assert "uid is '0', not" in line


def test_what_nobody_uses_or_has_another_content_is_told():
    unused = host()
    unused["configmaps"].append(copy("configmaps", "ConfigMap", "unused", "3", data={}))
    assert [line.split(":")[0] for line in wrong(unused)] == ["surplus"]
    edited = host()
    edited["configmaps"][0]["data"]["intruder"] = "x"
    edited["services"][0]["spec"]["ports"] = [{"port": 81}]
    assert len(wrong(edited)) == 2


def test_a_virtual_pod_that_says_otherwise_than_its_host_pod_is_told():
    here, there = virtual()["pods"], host()["pods"]
    assert disagreements(here, there) == []
    there[0]["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert len(disagreements(here, there)) == 1

from pytest_vcluster.cluster.objects import condition_of, describe, spoken


def test_an_object_that_is_not_there_is_said_to_be_so():
    assert describe(None) == "no such object"
    assert describe({}) == "the object, without any status"


def test_conditions_come_with_their_reasons():
    state = {
        "spec": {"replicas": 3},
        "metadata": {"generation": 4},
        "status": {
            "observedGeneration": 3,
            "readyReplicas": 1,
            "conditions": [{"type": "Available", "status": "False", "reason": "Few", "message": "too few"}],
        },
    }
    assert describe(state).splitlines() == [
        "3 replicas wanted, readyReplicas 1, status is of generation 3, the object's is 4",
        "  Available=False (Few: too few)",
    ]


def test_what_holds_a_deletion_is_told():
    state = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b", "c/d"]}, "status": None}
    assert describe(state) == "being deleted since 2026-01-01T00:00:00Z, held by finalizers a/b, c/d"


def test_what_holds_a_container_is_told():
    waiting = {"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    running = {"name": "side", "state": {"running": {"startedAt": "now"}}}
    state = {"status": {"phase": "Pending", "containerStatuses": [waiting, running]}}
    assert describe(state).splitlines() == [
        "phase Pending",
        "  container main waiting (ImagePullBackOff: no such image)",
    ]


def test_conditions_of_strange_shapes_are_ignored():
    assert condition_of({"status": {"conditions": "odd"}}, "Ready") is None
    assert condition_of({"status": {"conditions": ["odd"]}}, "Ready") is None
    assert condition_of({"status": "odd"}, "Ready") is None
    assert describe({"status": "odd", "spec": "odd"}) == "the object, without any status"


def test_objects_are_spoken_of_with_their_namespace_if_they_have_one():
    assert spoken("Pod", "web", "x") == "Pod web in namespace x"
    assert spoken("Node", "node-1") == "Node node-1"

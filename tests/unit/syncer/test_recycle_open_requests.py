"""What the controller manager waits for, by the audit log, and a recycler that waits with it."""

import dataclasses
import itertools
import json
import time

import pytest
from recycle_parts import OTHER, STATE
from recycler_parts import BRIEF, IMPATIENT, Bench
from vcluster_syncer.recycle.audit_log import Unreadable
from vcluster_syncer.recycle.open_requests import OpenRequests

CREATE = "create /api/v1/namespaces/default/pods"


def told(identity, stage="RequestReceived", *, user="system:kube-controller-manager"):
    verb, _, uri = CREATE.partition(" ")
    return {
        "auditID": identity,
        "stage": stage,
        "verb": verb,
        "requestURI": uri,
        "user": {"username": user},
        "objectRef": {"resource": "pods", "namespace": "default"},
    }


@pytest.fixture
def log(tmp_path):
    return tmp_path / "audit.log"


def note(log, *events):
    with log.open("a") as lines:
        lines.write("".join(json.dumps(event, separators=(",", ":")) + "\n" for event in events))


def test_a_request_is_open_until_it_is_over(log):
    requests = OpenRequests(log)
    assert requests.look() == []
    note(log, told("1"), told("2"))
    assert requests.look() == [CREATE, CREATE]
    note(log, told("1", "ResponseComplete"))
    assert requests.look() == [CREATE]
    note(log, told("2", "Panic"))
    assert requests.look() == []


def test_what_others_ask_and_what_is_no_object_is_not_followed(log):
    look = {**told("1"), "requestURI": "/apis"}
    del look["objectRef"]
    note(log, told("2", user="kubernetes-admin"), look)
    assert OpenRequests(log).look() == []


def test_without_a_log_nobody_can_tell():
    assert OpenRequests(None).look() == []


def test_a_log_that_was_begun_anew_or_broken_is_no_answer(log):
    requests = OpenRequests(log)
    note(log, told("1"))
    requests.look()
    log.write_text("")
    with pytest.raises(Unreadable, match="begun anew"):
        requests.look()
    log.write_text('{"user":{"username":"system:kube-controller-manager"\n')
    with pytest.raises(Unreadable, match="does not tell what was asked"):
        OpenRequests(log).look()


def ready(log, limits=BRIEF):
    bench = Bench(audit=log, limits=limits)
    assert bench.captured().pristine
    return bench


def test_a_cluster_whose_controller_manager_gets_no_answer_is_not_pristine(log):
    bench = ready(log, IMPATIENT)
    note(log, told("1"))
    outcome = bench.recycled()
    assert (outcome.pristine, outcome.reason) == (False, f"its controller manager waits for an answer: {CREATE}")


def test_who_asks_one_thing_after_the_other_gets_his_answers(log):
    patience = 0.5
    bench = Bench(audit=log, limits=dataclasses.replace(BRIEF, answered=patience))
    assert bench.captured().pristine
    note(log, told("0"))
    numbers = itertools.count(1)
    deadline = time.monotonic() + 2 * patience

    def meanwhile(_store, call):
        if bench.steps[-1] == "quiet" and call == "changed_since":
            number = next(numbers)
            if time.monotonic() < deadline:
                note(log, told(str(number)))
            note(log, told(str(number - 1), "ResponseComplete"))

    bench.meanwhile = meanwhile
    assert bench.recycled().pristine
    assert next(numbers) > 3


def test_what_comes_of_an_answer_is_put_back(log):
    bench = ready(log)
    note(log, told("1"))
    looks = iter(range(100))

    def meanwhile(store, call):
        if bench.steps[-1] == "quiet" and call == "changed_since" and next(looks) == 2:
            store.put(OTHER)
            note(log, told("1", "ResponseComplete"))

    bench.meanwhile = meanwhile
    assert bench.recycled().pristine
    assert bench.store.values == STATE


def test_going_back_in_mid_test_tells_what_is_still_to_come(log):
    bench = ready(log)
    name = bench.run(bench.recycler.checkpoint())
    note(log, told("1"))
    outcome = bench.run(bench.recycler.restore(name))
    assert CREATE in outcome.restless

"""A cluster that nobody wants ends; one whose run can't be seen for a while doesn't."""

import asyncio
import json

import fake_time
import pytest
from engine_parts import Scripted
from hypothesis import given
from hypothesis import strategies as st
from vcluster_syncer.carriage import OwningService
from vcluster_syncer.kube.errors import Conflict, Forbidden, NotFound, Unreachable
from vcluster_syncer.pod.heartbeat import Keeper, Pulse
from vcluster_syncer.pod_options import Heartbeat

PERIOD = 10.0
OWNER = {"metadata": {"name": "vc-1", "uid": "u1"}}
GONE, AWAY = NotFound("no such lease"), Unreachable("no answer in time")
DELETED = {"kind": "Status"}
NO_PODS = {"items": []}


def pod(name, *owners):
    return {"metadata": {"name": name, "uid": f"of-{name}", "ownerReferences": [{"uid": owner} for owner in owners]}}


def lease(renewed):
    return {"metadata": {"uid": "l1"}, "spec": {"renewTime": renewed}}


def silence(*looks):
    """How long nothing was seen to be alive, after looks at (time, beat)."""
    pulse = Pulse(PERIOD)
    for at, beat in looks:
        pulse.seen(beat, at=at)
    return pulse.silent


@pytest.mark.parametrize(
    ("looks", "seconds"),
    [
        ([(0, "a")], 0),
        ([(0, "a"), (10, "a"), (20, "a")], 20),
        ([(0, "a"), (10, "a"), (20, "b"), (30, "b")], 10),
        # Whichever way its clock goes.
        ([(0, "2031"), (10, "2030")], 0),
        ([(0, None), (10, None)], 10),
        ([(0, "a"), (10, None), (20, None)], 20),
        # That it is there again is no sign of life, if it was not renewed.
        ([(0, "a"), (10, None), (20, "a")], 20),
        ([(0, "a"), (10, None), (20, "b")], 0),
        # The host was away for an hour, or this process was stopped.
        ([(0, "a"), (3600, "a")], 20),
        ([(0, "a"), (10, "a"), (3600, "b"), (3610, "b")], 10),
    ],
)
def test_silence_is_what_was_seen_of_it(looks, seconds):
    assert silence(*looks) == seconds


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(["a", "b", None])), max_size=30))
def test_no_look_counts_for_more_than_two_periods(looks):
    at, taken = 0.0, []
    for passed, beat in looks:
        at += passed
        taken.append((at, beat))
    assert 0 <= silence(*taken) <= 2 * PERIOD * len(taken)


class Machine:
    """A keeper of a lease with 90 seconds, on a host that answers what it is told to, a look each 10 seconds."""

    def __init__(self, *answers):
        self.host = Scripted(*answers)
        self.gone = ""
        self.took = 0.0

    def run(self):
        fake_time.run(self._main())
        assert not self.host.answers
        return self.host.asked

    async def _main(self):
        clock = asyncio.get_running_loop().time
        owner = OwningService(self.host, namespace="clusters", name="vc-1")
        wanted = Heartbeat(lease="run", seconds=90)
        keeper = Keeper(self.host, wanted, owner, namespace="clusters", clock=clock)
        await keeper.run()
        self.gone, self.took = keeper.gone, clock()


def test_the_owner_is_deleted_and_no_other_of_its_name_and_the_lease_before():
    machine = Machine(OWNER, *[lease("a")] * 10, DELETED, NO_PODS, DELETED)
    asked = machine.run()
    assert asked[0] == "GET /api/v1/namespaces/clusters/services/vc-1"
    assert set(asked[1:-3]) == {"GET /apis/coordination.k8s.io/v1/namespaces/clusters/leases/run"}
    assert asked[-3] == "DELETE /apis/coordination.k8s.io/v1/namespaces/clusters/leases/run"
    assert asked[-2] == "GET /api/v1/namespaces/clusters/pods"
    assert asked[-1] == "DELETE /api/v1/namespaces/clusters/services/vc-1"
    named = [json.loads(request.body)["preconditions"] for request in machine.host.requests[-3:] if request.body]
    assert named == [{"uid": "l1"}, {"uid": "u1"}]
    assert machine.took == 90
    assert "lease run was not renewed for 90 s" in machine.gone


def test_a_lease_that_is_renewed_late_is_renewed():
    machine = Machine(OWNER, *[lease("a")] * 9, *[lease("b")] * 10, DELETED, NO_PODS, DELETED)
    machine.run()
    assert machine.took == 180


def test_a_lease_that_is_gone_for_good_is_not_renewed():
    machine = Machine(OWNER, lease("a"), *[GONE] * 9, GONE, NO_PODS, DELETED)
    machine.run()
    assert machine.took == 90


def test_a_lease_that_nobody_has_seen_is_not_deleted():
    machine = Machine(OWNER, *[GONE] * 10, NO_PODS, DELETED)
    machine.run()
    assert machine.took == 90


@pytest.mark.parametrize("answer", [Conflict("the uid is another"), Forbidden("no"), AWAY])
def test_the_owner_is_deleted_whatever_becomes_of_the_lease(answer):
    Machine(OWNER, *[lease("a")] * 10, answer, NO_PODS, DELETED).run()


def test_a_host_that_is_away_or_denies_a_look_says_nothing_about_the_lease():
    blind = [AWAY, Forbidden("leases is forbidden")] * 50
    machine = Machine(AWAY, OWNER, *[lease("a")] * 4, *blind, *[lease("b")] * 10, DELETED, NO_PODS, DELETED)
    machine.run()
    assert machine.took == 10 + 40 + 1000 + 90


@pytest.mark.parametrize("already", [NotFound("no such service"), Conflict("the uid is another")])
def test_an_owner_that_is_gone_is_deleted(already):
    Machine(OWNER, *[lease("a")] * 10, DELETED, NO_PODS, already).run()


def test_it_is_tried_until_it_is_done():
    machine = Machine(OWNER, *[lease("a")] * 10, DELETED, NO_PODS, AWAY, Forbidden("no"), DELETED)
    machine.run()
    assert machine.took == 110


@pytest.mark.parametrize("already", [DELETED, NotFound("no such pod"), Conflict("the uid is another")])
def test_pods_that_are_carried_end_at_once_and_no_others(already):
    pods = {"items": [pod("vc-1-0", "of-the-statefulset"), pod("theirs", "u2"), pod("ours", "u1"), pod("nobodys")]}
    machine = Machine(OWNER, *[lease("a")] * 10, DELETED, pods, already, DELETED)
    assert machine.run()[-2] == "DELETE /api/v1/namespaces/clusters/pods/ours"
    options = json.loads(machine.host.requests[-2].body)
    assert (options["preconditions"], options["gracePeriodSeconds"]) == ({"uid": "of-ours"}, 0)


@pytest.mark.parametrize("answer", [Forbidden("no"), AWAY])
def test_the_owner_is_deleted_whatever_becomes_of_the_pods(answer):
    Machine(OWNER, *[lease("a")] * 10, DELETED, answer, DELETED).run()

import asyncio
import json
from dataclasses import replace

import pytest
from engine_parts import TENANT, WIDGETS, A, Scripted, host_obj, kind, obj
from vcluster_syncer.engine.execute import Executor
from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.engine.outcomes import DONE, Failed, Later, Refused, Rejected, Stale
from vcluster_syncer.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServerFailed,
    TooManyRequests,
    Unreachable,
)
from vcluster_syncer.model import (
    Bind,
    CreateHost,
    CreateVirtual,
    DeleteHost,
    DeleteVirtual,
    Owner,
    PatchHost,
    PatchVirtual,
    Refuse,
    RequestToken,
    TokenRequest,
    UpdateVirtualStatus,
)
from vcluster_syncer.model import Later as LaterAction

HOST_A = "host-a"
CREATE = CreateHost(WIDGETS, {"kind": "Widget", "metadata": {"name": HOST_A}})
PATCH = PatchHost(WIDGETS, HOST_A, "uid-host-a", {"metadata": {"labels": {"x": "y"}}})
DELETE = DeleteHost(WIDGETS, HOST_A, "uid-host-a", 7)
TOKEN = TokenRequest(namespace="default", service_account="default", pod_name="a", pod_uid="uid-a")


class Sides:
    """An executor with its memory, in which `a` is on both sides; notes which keys were queued."""

    def __init__(self, *, host=(), virtual=(), tenant=TENANT):
        self.queued = []
        self.memory = Memory(tenant, [kind()], enqueue=self.queued.append, clock=lambda: 1000.0)
        self.memory.virtual_stores[WIDGETS].replace([obj("a")], 1)
        self.memory.host_objects[WIDGETS].replace([host_obj("a")], 1)
        self.memory.go_live()
        self.queued.clear()
        self.host, self.virtual = Scripted(*host), Scripted(*virtual)
        self.executor = Executor(self.memory, virtual=self.virtual, host=self.host)

    def do(self, action):
        return asyncio.run(self.executor.execute(action, (WIDGETS, A)))

    @property
    def host_a(self):
        return self.memory.host(WIDGETS, A)

    def body(self, side, number=0):
        return json.loads(getattr(self, side).requests[number].body)


def test_what_a_write_answers_is_in_memory_before_the_watch_tells():
    sides = Sides(host=[host_obj("a", 5)])
    assert sides.do(PATCH) == DONE
    assert sides.host_a["metadata"]["resourceVersion"] == "5"
    assert sides.queued == [(WIDGETS, A)]
    sides.queued.clear()
    sides.memory.host_objects[WIDGETS].upsert(host_obj("a", 4))
    sides.memory.host_objects[WIDGETS].upsert(host_obj("a", 5))
    assert sides.queued == []


def test_what_is_made_on_the_host_is_its_owners():
    made = host_obj("b", 5)
    sides = Sides(host=[made], tenant=replace(TENANT, owner=Owner("vc", "service", "s1")))
    sides.do(CREATE)
    [reference] = sides.body("host")["metadata"]["ownerReferences"]
    assert reference == {"apiVersion": "v1", "kind": "Service", "name": "service", "uid": "s1"}


def test_a_patch_names_the_uid_it_means():
    sides = Sides(host=[host_obj("a", 5)], virtual=[obj("a", 6)])
    sides.do(PATCH)
    assert sides.body("host")["metadata"] == {"labels": {"x": "y"}, "uid": "uid-host-a"}
    sides.do(PatchVirtual(WIDGETS, A, "uid-a", {"spec": {"x": 1}}, resource_version="1"))
    assert sides.body("virtual") == {"spec": {"x": 1}, "metadata": {"uid": "uid-a", "resourceVersion": "1"}}


def test_a_deletion_names_the_uid_and_grace_and_is_known_at_once():
    sides = Sides(host=[{"kind": "Status", "status": "Success"}])
    assert sides.do(DELETE) == DONE
    assert sides.body("host")["preconditions"] == {"uid": "uid-host-a"}
    assert sides.body("host")["gracePeriodSeconds"] == 7
    assert sides.host_a is None


def test_an_object_that_takes_time_to_die_stays_known_as_dying():
    dying = host_obj("a", 5)
    dying["metadata"] |= {"deletionTimestamp": "2026-11-21T00:00:00Z", "deletionGracePeriodSeconds": 30}
    sides = Sides(host=[dying])
    assert sides.do(DELETE) == DONE
    assert sides.host_a["metadata"]["deletionGracePeriodSeconds"] == 30


@pytest.mark.parametrize("action", [DELETE, DeleteVirtual(WIDGETS, A, "uid-a")])
def test_deleting_what_is_gone_is_done(action):
    sides = Sides(host=[NotFound("gone")], virtual=[NotFound("gone")])
    assert sides.do(action) == DONE


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Conflict("rv"), Stale("rv")),
        (TooManyRequests("slow", retry_after=3.0), Failed("slow", 3.0)),
        (ServerFailed("etcd"), Failed("etcd")),
        (ServerFailed("etcd", retry_after=2.0), Failed("etcd", 2.0)),
        (Unreachable("cut"), Failed("cut")),
    ],
)
def test_each_error_has_its_outcome(error, outcome):
    assert Sides(host=[error]).do(PATCH) == outcome


def test_a_name_that_is_taken_is_looked_at():
    foreign = obj(HOST_A, 9, "vc", "foreign")
    sides = Sides(host=[AlreadyExists("taken"), foreign])
    sides.memory.host_objects[WIDGETS].replace([], 2)
    assert sides.do(CREATE) == Stale("taken")
    assert sides.host_a is None
    assert sides.memory.host_named(WIDGETS, HOST_A)["metadata"]["uid"] == "foreign"


def test_an_object_that_is_missing_for_a_patch_is_forgotten_when_it_really_is_gone():
    sides = Sides(host=[NotFound("gone"), NotFound("gone")])
    assert sides.do(PATCH) == Stale("gone")
    assert sides.host_a is None
    # A subresource that the server does not have says nothing about the object.
    sides = Sides(host=[NotFound("no such subresource"), host_obj("a", 1)])
    sides.do(PATCH)
    assert sides.host_a is not None


def test_a_create_in_a_namespace_that_is_missing_is_a_failure():
    assert Sides(host=[NotFound("namespaces vc")]).do(CREATE) == Failed("namespaces vc")


def test_a_failed_uid_precondition_of_a_patch_is_stale_memory():
    sides = Sides(host=[Invalid("uid", fields=frozenset({"metadata.uid"})), host_obj("a", 9, "new")])
    assert sides.do(PATCH) == Stale("uid")
    assert sides.host_a["metadata"]["uid"] == "new"


def test_a_rejection_of_the_host_is_reported_without_host_names():
    sides = Sides(host=[Invalid(f"Widget {HOST_A!r} in vc is invalid"), Forbidden("exceeded quota")])
    assert sides.do(CREATE) == Rejected("Widget 'a' in default is invalid", may_pass=False)
    assert sides.do(CREATE) == Rejected("exceeded quota", may_pass=True)
    assert sides.virtual.asked == []


def test_a_namespace_that_is_ending_is_nothing_to_tell():
    sides = Sides(host=[Forbidden("terminating", fields=frozenset({"metadata.namespace"}))])
    assert sides.do(CREATE) == Failed("terminating")


def test_a_refusal_is_one_event_however_often_it_is_said():
    sides = Sides(virtual=[{}, AlreadyExists("event")])
    refuse = Refuse(WIDGETS, A, "Foreign", "not ours")
    assert [sides.do(refuse), sides.do(refuse)] == [Refused("Foreign", "not ours")] * 2
    event = sides.body("virtual", 0)
    assert event == sides.body("virtual", 1)
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "Foreign", "not ours")
    assert event["involvedObject"] | {"uid": "uid-a", "name": "a", "kind": "Widget"} == event["involvedObject"]


def test_a_refusal_that_can_not_be_told_is_still_one():
    sides = Sides(virtual=[Unreachable("cut")])
    assert sides.do(Refuse(WIDGETS, A, "Foreign", "not ours")) == Refused("Foreign", "not ours")


def test_later_is_an_outcome_and_no_request():
    sides = Sides()
    assert sides.do(LaterAction(5, "why")) == Later(5, "why")
    assert sides.host.asked == sides.virtual.asked == []


def test_virtual_writes_go_to_the_objects_own_namespace():
    sides = Sides(virtual=[obj("b"), obj("a", 2), {"kind": "Status"}])
    sides.do(CreateVirtual(WIDGETS, obj("b", namespace="team")))
    sides.do(UpdateVirtualStatus(WIDGETS, obj("a", status={"x": 1})))
    sides.do(Bind(A, "uid-a", "node-1"))
    assert sides.virtual.asked == [
        "POST /api/v1/namespaces/team/widgets",
        "PUT /api/v1/namespaces/default/widgets/a/status",
        "POST /api/v1/namespaces/default/pods/a/binding",
    ]
    assert sides.body("virtual", 2)["target"]["name"] == "node-1"


def test_a_token_is_minted_remembered_and_the_key_looked_at_again():
    answer = {"kind": "TokenRequest", "status": {"token": "t", "expirationTimestamp": "1970-01-01T01:00:00Z"}}
    sides = Sides(virtual=[answer])
    assert sides.do(RequestToken(TOKEN)) == Later(0.0, "the token is there")
    assert sides.memory.token(TOKEN).value == "t"
    assert sides.virtual.asked == ["POST /api/v1/namespaces/default/serviceaccounts/default/token"]
    assert sides.body("virtual")["spec"] == {
        "expirationSeconds": 3600,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "uid-a"},
    }


def test_an_answer_that_is_no_token_is_a_failure():
    assert isinstance(Sides(virtual=[{"kind": "TokenRequest"}]).do(RequestToken(TOKEN)), Failed)

"""Writes that a server answers with the object as it was."""

import asyncio

import pytest
from engine_parts import TENANT, WIDGETS, A, Scripted, host_obj, kind, obj
from vcluster_syncer.engine.execute import Executor
from vcluster_syncer.engine.memory import Memory
from vcluster_syncer.engine.outcomes import DONE
from vcluster_syncer.model import PatchHost, PatchVirtual, UpdateVirtualStatus

STATUS = {"status": {"known": 1, "of a later version": 2}}


class Sides:
    """An executor whose servers answer every write with an object of the revision that is told."""

    def __init__(self):
        self.memory = Memory(TENANT, [kind()], enqueue=lambda _: None, clock=lambda: 1000.0)
        self.memory.virtual_stores[WIDGETS].replace([obj("a")], 1)
        self.memory.host_objects[WIDGETS].replace([host_obj("a")], 1)
        self.host, self.virtual = Scripted(), Scripted()
        self.executor = Executor(self.memory, virtual=self.virtual, host=self.host)

    def writes(self, action, *, revision):
        """Execute; tell whether a request was sent, which is answered with `revision`."""
        self.host.answers, self.virtual.answers = [host_obj("a", revision)], [obj("a", revision)]
        before = len(self.host.requests + self.virtual.requests)
        assert asyncio.run(self.executor.execute(action, (WIDGETS, A))) == DONE
        return len(self.host.requests + self.virtual.requests) > before


ACTIONS = [
    lambda: PatchHost(WIDGETS, "host-a", "uid-host-a", {"spec": {"x": 1}}),
    lambda: PatchVirtual(WIDGETS, A, "uid-a", {"spec": {"x": 1}}),
    lambda: UpdateVirtualStatus(WIDGETS, {**obj("a"), **STATUS}),
]


@pytest.mark.parametrize("action", ACTIONS)
def test_what_changed_nothing_is_not_written_again(action):
    sides = Sides()
    assert sides.writes(action(), revision=1)
    assert not sides.writes(action(), revision=1)


@pytest.mark.parametrize("action", ACTIONS)
def test_what_changed_something_is_written_again(action):
    sides = Sides()
    assert sides.writes(action(), revision=2)
    assert sides.writes(action(), revision=3)


@pytest.mark.parametrize("action", ACTIONS[:2])
def test_a_change_of_the_object_is_a_reason_to_try_again(action):
    sides = Sides()
    assert sides.writes(action(), revision=1)
    sides.memory.host_objects[WIDGETS].upsert(host_obj("a", 7))
    sides.memory.virtual_stores[WIDGETS].upsert(obj("a", 7))
    assert sides.writes(action(), revision=7)
    assert not sides.writes(action(), revision=7)


def test_another_status_is_a_reason_to_try_again():
    sides = Sides()
    assert sides.writes(UpdateVirtualStatus(WIDGETS, {**obj("a"), **STATUS}), revision=1)
    assert sides.writes(UpdateVirtualStatus(WIDGETS, {**obj("a"), "status": {"known": 2}}), revision=2)


def test_only_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr("vcluster_syncer.engine.futile._REMEMBERED", 1)
    sides = Sides()
    host, virtual = ACTIONS[0](), ACTIONS[1]()
    assert sides.writes(host, revision=1)
    assert sides.writes(virtual, revision=1)
    assert not sides.writes(virtual, revision=1)
    assert sides.writes(host, revision=1)

import time

import pytest
from soak_fakes import FakeAccess

from pytest_vcluster.errors import ApiError, ManifestError, Timeout
from soak.access import ServiceRange
from soak.executor import Executor
from soak.model import NUMBER, PAUSE, SERVICE_ADDRESS, USE, WATCH, Scenario, Step


def step(method="GET", path="/api/v1/pods", **more):
    return Step(move="m", method=method, path=path, **more)


def performed(access, *lanes, **more):
    executor = Executor(access, ServiceRange.of(access.open()))
    executor.perform(Scenario(seed=1, lanes=lanes, **more))
    access.cut.set()
    executor.end()
    return executor


def test_steps_are_done_in_their_order():
    access = FakeAccess()
    executor = performed(access, (step(path="/a"), step("PUT", "/b", body={"c": 1})))
    assert access.asked == [("GET", "/a", None), ("PUT", "/b", {"c": 1})]
    assert executor.answers == {("m", "done"): 2}
    assert access.closed


def test_lanes_run_beside_each_other():
    waiting = []

    def answer(method, path):
        waiting.append(path)
        deadline = time.monotonic() + 30
        while len(waiting) < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        return {}

    assert performed(FakeAccess(answer), (step(path="/a"),), (step(path="/b"),)).answers == {("m", "done"): 2}
    assert sorted(waiting) == ["/a", "/b"]


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (ApiError("no", status=409), "409"),
        (Timeout("x", elapsed=1, last_seen="y"), "no answer in time"),
        (ManifestError("odd"), "ManifestError"),
    ],
)
def test_an_error_is_counted_and_the_lane_goes_on(error, counted):
    def answer(method, path):
        if path == "/bad":
            raise error
        return {}

    executor = performed(FakeAccess(answer), (step(path="/bad"), step(path="/good")))
    assert executor.answers == {("m", counted): 1, ("m", "done"): 1}


def test_placeholders_are_filled():
    access = FakeAccess()
    body = {"ip": SERVICE_ADDRESS % 77, "n": NUMBER}
    performed(access, (step("POST", f"/x/{NUMBER}", body=body, times=3),))
    assert sorted(access.asked) == [("POST", f"/x/{n}", {"ip": "10.100.128.77", "n": str(n)}) for n in range(3)]


def test_hammers_go_on_until_they_are_cut_off():
    access = FakeAccess()
    executor = performed(access, (), hammers=((step("POST", f"/x/{NUMBER}"),),), cut_after=0.5)
    assert executor.answers["m", "done"] > 3
    assert executor.answers["m", "unreachable"] == 0
    assert access.asked[3][1] == "/x/3"


def test_being_cut_off_is_no_surprise_once_it_is_due():
    access = FakeAccess()
    executor = Executor(access, ServiceRange.of(access.open()))
    access.answer = lambda method, path: access.cut.wait(30) and {}
    executor.perform(Scenario(seed=1, lanes=((step(), step()),), cut_after=0.5))
    access.cut.set()
    for thread in executor._threads:
        thread.join()
    executor.end()
    assert executor.answers == {("m", "done"): 1, ("m", "cut off"): 1}


def test_a_lane_does_not_outlive_the_cut():
    access = FakeAccess()
    began = time.monotonic()
    executor = performed(access, (step(PAUSE, seconds=30.0), step(path="/late")), cut_after=0.5)
    assert time.monotonic() - began < 10
    assert access.asked == []
    assert executor.answers == {("m", "done"): 1}


def test_watches_are_held_until_the_end_and_are_not_too_many():
    access = FakeAccess()
    performed(access, (step(WATCH, "/w"),) * 9)
    assert access.asked == [("WATCH", "/w", None)] * 4


def test_a_definition_is_waited_for(monkeypatch):
    seen = []
    monkeypatch.setattr("soak.executor.make_usable", lambda api, names, deadline: seen.append(names))
    performed(FakeAccess(), (step(USE, "widgets.example.org"),))
    assert seen == [["widgets.example.org"]]

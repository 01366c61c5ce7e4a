"""The checks themselves are proved by tests/integration/test_soak.py."""

from soak_fakes import FakeAccess

from pytest_vcluster.errors import ApiError
from soak import liveness


def test_what_does_not_work_is_told_and_the_others_are_still_checked(monkeypatch):
    def broken(rest, dice):
        raise ApiError("no", status=500, method="GET", path="/x")

    checked = []
    checks = {"a": broken, "b": lambda rest, dice: checked.append(dice.word())}
    monkeypatch.setattr(liveness, "CHECKS", checks)
    (line,) = liveness.check(FakeAccess().open(), 5)
    assert line.startswith("alive: a: after 0.0 s: GET /x: 500")
    assert len(checked) == 1


def test_what_never_happens_is_told_with_what_was_seen_last(monkeypatch):
    monkeypatch.setattr(liveness, "_SECONDS", 0.05)
    anything = {"metadata": {"uid": "u"}, "status": {"phase": "Terminating", "allowed": False}}
    last = {name: check for name, check in liveness.CHECKS.items() if name.startswith(("a namespace goes", "a role"))}
    monkeypatch.setattr(liveness, "CHECKS", last)
    lines = liveness.check(FakeAccess(lambda method, path: anything).open(), 5)
    assert "a role that was bound does not grant anything" in lines[0]
    assert "/api/v1/namespaces/dying is not gone: {'phase': 'Terminating'" in lines[1]

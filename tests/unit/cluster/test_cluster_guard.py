import pytest
from cluster_server import FakeLease, death

from pytest_vcluster.cluster.guard import Guard
from pytest_vcluster.cluster.rest import Unreachable
from pytest_vcluster.errors import ApiError, ComponentDied, LeaseLost


def test_a_death_explains_whatever_failed():
    lease = FakeLease()
    lease.died += [death(), death("syncer", "exit code 1")]
    failure = ApiError("gone", status=500)
    with (
        pytest.raises(ComponentDied, match=r"(?s)kube-apiserver .*killed by signal 9.*its last words") as caught,
        Guard(lease)(),
    ):
        raise failure
    assert caught.value.__cause__ is failure
    assert caught.value.__notes__ == ["syncer died too (exit code 1)."]


def test_a_failure_without_a_death_is_itself():
    with pytest.raises(ApiError), Guard(FakeLease())():
        raise ApiError("gone", status=500)


def test_errors_that_are_not_ours_pass():
    lease = FakeLease()
    lease.died.append(death())
    with pytest.raises(ZeroDivisionError), Guard(lease)():
        raise ZeroDivisionError


def test_the_news_of_a_death_may_come_after_the_connection_broke():
    class Slow(FakeLease):
        asked = 0

        def deaths(self):
            self.asked += 1
            return [death()] if self.asked > 3 else []

    with pytest.raises(ComponentDied) as caught, Guard(Slow())():
        raise Unreachable("connection reset")
    assert isinstance(caught.value.__cause__, Unreachable)


def test_a_cluster_out_of_reach_without_a_death_is_a_lost_lease(monkeypatch):
    monkeypatch.setattr("pytest_vcluster.cluster.guard._NOTICE_SECONDS", 0.05)
    with (
        pytest.raises(LeaseLost, match="vc-1 can't be reached any more.\nLast seen: connection refused"),
        Guard(FakeLease())(),
    ):
        raise Unreachable("connection refused")


def test_a_death_without_a_log_has_none():
    lease = FakeLease()
    lease.died.append(death())
    lease.died[0].log = ""
    with pytest.raises(ComponentDied) as caught:
        Guard(lease).check()
    assert caught.value.log is None

"""Leftovers on a host: what of dead runs is deleted, and that nothing else ever is."""

import pytest

from pytest_vcluster.errors import ApiError
from pytest_vcluster.hosts.in_cluster import sweeping

NOW = 1_800_000_000.0
OLD, FRESH = "2027-01-15T07:50:00.000000Z", "2027-01-15T07:59:50.000000Z"  # ten minutes and ten seconds before


def lease(run, renewed):
    return {
        "metadata": {"name": f"pytest-vcluster-{run}", "labels": {"pytest-vcluster/run": run}},
        "spec": {"renewTime": renewed},
    }


def root(run, name):
    return {"metadata": {"name": name, "uid": f"uid-{name}", "labels": {"pytest-vcluster/run": run}}}


class Host:
    """A host with these objects; a Lease of `renewing` gets another time whenever it is read."""

    def __init__(self, leases=(), roots=(), renewing=(), forbidden=()):
        self.leases = {item["metadata"]["labels"]["pytest-vcluster/run"]: item for item in leases}
        self.roots = list(roots)
        self.renewing = renewing
        self.forbidden = forbidden
        self.deleted = []
        self.reads = 0

    def call(self, method, path, body=None):
        if method == "DELETE":
            self.deleted.append(path.rpartition("/")[2])
            return {}
        if any(word in path for word in self.forbidden):
            raise ApiError("forbidden", status=403)
        if "leases" in path:
            self.reads += 1
            for run in self.renewing:
                self.leases[run]["spec"]["renewTime"] = f"{OLD[:-1]}{self.reads}Z"
            return {"items": [{**item, "spec": dict(item["spec"])} for item in self.leases.values()]}
        return {"items": self.roots if "services" in path else []}


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    slept = []
    monkeypatch.setattr(sweeping.time, "time", lambda: NOW)
    monkeypatch.setattr(sweeping.time, "sleep", slept.append)
    return slept


@pytest.mark.parametrize("patient", [True, False])
def test_a_dead_runs_clusters_and_lease_go(patient):
    host = Host(leases=[lease("dead", OLD)], roots=[root("dead", "vc-1"), root("dead", "vc-2")])
    assert sweeping.sweep(host, "ns", patient=patient) == ["service/vc-1", "service/vc-2"]
    assert host.deleted == ["vc-1", "vc-2", "pytest-vcluster-dead"]


@pytest.mark.parametrize("patient", [True, False])
def test_a_run_that_lives_is_not_touched(patient):
    host = Host(leases=[lease("alive", FRESH)], roots=[root("alive", "vc-1")])
    assert sweeping.sweep(host, "ns", patient=patient) == []
    assert host.deleted == []


def test_a_run_whose_clock_goes_wrong_is_seen_to_live(clock):
    host = Host(leases=[lease("odd", OLD)], roots=[root("odd", "vc-1")], renewing=["odd"])
    assert sweeping.sweep(host, "ns", patient=True) == []
    assert clock == [15.0]
    assert host.deleted == []


def test_what_has_no_lease_goes_only_when_it_was_watched():
    host = Host(roots=[root("unknown", "vc-1")])
    assert sweeping.sweep(host, "ns", patient=False) == []
    assert sweeping.sweep(host, "ns", patient=True) == ["service/vc-1"]


def test_who_may_not_read_what_is_cluster_wide_sweeps_the_rest():
    host = Host(leases=[lease("dead", OLD)], roots=[root("dead", "vc-1")], forbidden=["clusterrole"])
    assert sweeping.sweep(host, "ns", patient=True) == ["service/vc-1"]


def test_a_service_that_takes_anothers_place_removes_what_that_has_left_however_fresh_it_is():
    host = Host(leases=[lease("own", FRESH)], roots=[root("own", "vc-1"), root("alive", "vc-2")])
    assert sweeping.sweep_own(host, "ns", "own") == ["service/vc-1"]
    assert host.deleted == ["vc-1", "pytest-vcluster-own"]

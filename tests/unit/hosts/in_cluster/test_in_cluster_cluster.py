"""A cluster in a pod between its leases: when it is given up because its controller manager can't be replaced."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_vcluster.controlplane.addresses import Address
from pytest_vcluster.hosts import recyclable
from pytest_vcluster.hosts.granting import Identity
from pytest_vcluster.hosts.in_cluster.cluster import PodCluster, Reached

BACK = {"pristine": True, "reason": "", "revision": 40, "keys": 7, "outdated": False, "written": 1, "seconds": {}}


@pytest.fixture
def world(monkeypatch):
    """A pod cluster, the answers of its syncer, and what it was asked."""
    answers = {
        "take_baseline": BACK,
        "recycled": BACK,
        "restart": {},
        "restore": {**BACK, "restless": "", "revived": []},
    }
    asked = []

    def answering(order):
        def answer(_connect, name, *, timeout, **_arguments):
            assert (name, timeout) == ("vc-1", 5.0)
            asked.append(order)
            return answers[order]

        return answer

    for order in answers:
        monkeypatch.setattr(recyclable.syncer, order, answering(order))
    pair = SimpleNamespace(certificate="pem", key="pem")

    async def made():
        return PodCluster(
            name="vc-1",
            version="v1.36.4",
            nodes=(),
            reached=Reached(api=Address("127.0.0.1", 1), admin=Address("127.0.0.1", 2)),
            entrance="127.0.0.1",
            pki=Path("/nowhere"),
            identity=Identity(server_authority="pem", admin=pair, client_authority=pair),
            host={},
            have_images=None,
            timeout=5.0,
            keep_baseline=None,
            laid=False,
            compare=False,
        )

    cluster = asyncio.run(made())
    asyncio.run(cluster.take_baseline())
    return SimpleNamespace(cluster=cluster, answers=answers, asked=asked)


def test_a_lease_like_others_costs_nothing(world):
    assert asyncio.run(world.cluster.recycle()) == ""
    assert asyncio.run(world.cluster.recycle()) == ""


def test_a_controller_manager_that_met_kinds_costs_a_new_cluster(world):
    world.answers["recycled"] = {**BACK, "outdated": True}
    assert asyncio.run(world.cluster.recycle()).startswith("its controller manager met kinds")


def test_revived_objects_cost_a_new_cluster_at_the_end_of_the_lease(world):
    world.answers["restore"] = {**BACK, "restless": "", "revived": ["configmaps/default/a"]}
    asyncio.run(world.cluster.restore("a1"))
    assert world.asked[-1] == "restart"
    assert asyncio.run(world.cluster.recycle()).startswith("objects of it had ended")

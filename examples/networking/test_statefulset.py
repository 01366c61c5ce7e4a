"""A StatefulSet: names that stay, volumes that stay, and peers that find each other."""

from functools import partial

import pytest

pytestmark = pytest.mark.vcluster(containers=True)


@pytest.fixture
def database(vcluster):
    vcluster.apply("statefulset/db.yaml")
    vcluster.wait("statefulset/db", "jsonpath={.status.readyReplicas}=2")


@pytest.fixture
def ask(vcluster, fetching, eventually):
    """What one pod hears from a name."""
    return lambda pod, name: eventually(lambda: fetching(partial(vcluster.exec, pod), f"http://{name}/identity"))


def test_every_pod_finds_itself_and_its_peers(vcluster, database, ask):
    for pod in ("db-0", "db-1"):
        assert vcluster.exec(pod, "hostname") == f"{pod}\n"
        assert ask(pod, pod).startswith(pod)
        for peer in ("db-0", "db-1"):
            assert ask(pod, f"{peer}.db").startswith(peer)
            assert ask(pod, f"{peer}.db.default.svc.cluster.local").startswith(peer)


def test_every_pod_has_a_claim_of_its_own(vcluster, database):
    claims = vcluster.get("persistentvolumeclaims")

    assert {claim["metadata"]["name"]: claim["status"]["phase"] for claim in claims} == {
        "data-db-0": "Bound",
        "data-db-1": "Bound",
    }


def test_a_pod_that_is_replaced_has_its_name_and_its_data(vcluster, database, ask):
    before = vcluster.get("pod", "db-0")
    identity = vcluster.exec("db-0", "cat", "/data/identity")

    vcluster.kubectl("delete", "pod", "db-0")
    vcluster.wait("statefulset/db", "jsonpath={.status.readyReplicas}=2")

    after = vcluster.wait("pod/db-0", "Ready")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert ask("db-1", "db-0.db") == identity

"""Checkpoints as a test takes them: whose they are, and what is said when they can't be gone back to."""

import dataclasses
import warnings

import pytest
from cluster_server import FakeLease, death

from pytest_vcluster.cluster import VCluster
from pytest_vcluster.cluster.checkpoints import RestlessClusterWarning
from pytest_vcluster.errors import ComponentDied, LeaseLost, ProvisionError
from pytest_vcluster.settings import Settings


class Remembering(FakeLease):
    """A lease whose cluster can go back."""

    def __init__(self, **facts):
        super().__init__(**facts)
        self.asked = []
        self.restless = ""
        self.trouble = None

    def checkpoint(self):
        self._ask("checkpoint")
        return f"a{len(self.asked)}"

    def restore(self, name):
        self._ask(f"restore {name}")
        return self.restless

    def _ask(self, what):
        self.asked.append(what)
        if self.trouble:
            raise self.trouble


@pytest.fixture
def lease():
    return Remembering()


@pytest.fixture
def cluster_of(tmp_path):
    """Handles of leases, closed in the end."""
    made = []

    def handle(lease):
        made.append(VCluster(lease, Settings(), tmp_path / str(len(made))))
        return made[-1]

    yield handle
    for each in made:
        each.close()


def test_a_cluster_goes_back_to_any_of_its_checkpoints_as_often_as_one_likes(lease, cluster_of):
    cluster = cluster_of(lease)
    first, second = cluster.checkpoint(), cluster.checkpoint()
    assert first != second
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for each in (second, first, first):
            cluster.restore(each)
    assert lease.asked == ["checkpoint", "checkpoint", "restore a2", "restore a1", "restore a1"]


def test_a_checkpoint_says_whose_it_is(lease, cluster_of):
    taken = cluster_of(lease).checkpoint()
    assert repr(taken) == "Checkpoint(cluster='vc-1', url='https://127.0.0.1:1')"
    with pytest.raises(dataclasses.FrozenInstanceError):
        taken.cluster = "vc-2"


@pytest.mark.parametrize(
    "facts",
    [{"cluster": "vc-2", "url": "https://127.0.0.1:1"}, {"cluster": "vc-1", "url": "https://127.0.0.1:2"}],
    ids=["another cluster", "the same cluster, recycled"],
)
def test_a_checkpoint_of_another_lease_is_refused_before_anything_is_asked(lease, cluster_of, facts):
    taken = cluster_of(lease).checkpoint()
    other = Remembering(**facts)
    message = (
        f"checkpoint of vc-1 at https://127.0.0.1:1, another lease than this one .{facts['cluster']} at {facts['url']}."
    )
    with pytest.raises(LeaseLost, match=message):
        cluster_of(other).restore(taken)
    assert other.asked == []


def test_after_the_test_the_cluster_is_another_ones(lease, cluster_of):
    cluster = cluster_of(lease)
    taken = cluster.checkpoint()
    cluster.close()
    for call in (cluster.checkpoint, lambda: cluster.restore(taken)):
        with pytest.raises(LeaseLost, match="the lease of vc-1 has ended, the cluster is another test's now"):
            call()
    assert lease.asked == ["checkpoint"]


def test_who_kept_writing_is_named_in_a_warning_at_the_line_that_asked(lease, cluster_of):
    cluster = cluster_of(lease)
    taken = cluster.checkpoint()
    lease.restless = "configmaps/default/a"
    message = "somebody kept writing to vc-1 while it was restored: configmaps/default/a"
    with pytest.warns(RestlessClusterWarning, match=message) as found:
        cluster.restore(taken)
    assert [warning.filename for warning in found] == [__file__]


@pytest.mark.parametrize("step", ["checkpoint", "restore"])
def test_what_goes_wrong_is_told_as_it_is(lease, cluster_of, step):
    cluster = cluster_of(lease)
    taken = cluster.checkpoint()
    lease.trouble = ProvisionError("No checkpoint could be taken: etcd gave no answer")
    with pytest.raises(ProvisionError, match="etcd gave no answer"):
        cluster.checkpoint() if step == "checkpoint" else cluster.restore(taken)


@pytest.mark.parametrize("step", ["checkpoint", "restore"])
def test_a_death_is_what_is_told_if_there_was_one(lease, cluster_of, step):
    cluster = cluster_of(lease)
    taken = cluster.checkpoint()
    lease.trouble = ProvisionError("No checkpoint could be taken: no answer in time")
    lease.died.append(death())
    with pytest.raises(ComponentDied, match="kube-apiserver"):
        cluster.checkpoint() if step == "checkpoint" else cluster.restore(taken)

"""Baselines, recycling and checkpoints of leases, over a backplane without Kubernetes."""

import concurrent.futures
import json
import sys
from dataclasses import replace

import pytest
from service_fakes import SETTINGS, VERSION, request, talk, until

from pytest_vcluster.errors import LeaseLost, ProvisionError
from pytest_vcluster.service import client

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
PREPARE = f"prepare {VERSION}"
LAYER = """
import json, sys
import service_fakes
from pytest_vcluster.service import client
run = client.Run.from_json(json.loads(sys.argv[1]))
wish = service_fakes.request(expected=2, baseline="b", holder="test_layer")
lease = client.open_lease(run, service_fakes.SETTINGS, wish, timeout=60, on_progress=lambda _: None)
print(json.dumps({"laid": lease.grant.laid}), flush=True)
sys.stdin.readline()
"""


def wanting(baseline="b", **wish):
    return request(expected=3, baseline=baseline, **wish)


@pytest.fixture
def ask_beside(open_lease):
    """Ask for leases in threads, all at once; returns their futures."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        yield lambda *wishes: [pool.submit(open_lease, wish) for wish in wishes]


def test_one_gets_a_cluster_to_lay_and_the_others_get_laid_ones(machine, run, open_lease, ask_beside):
    machine.wish("slowness", 0.05)  # so that all have asked before there is a cluster
    futures = ask_beside(*[wanting(holder=f"test_{number}") for number in range(3)])
    first = until(lambda: [future for future in futures if future.done()])
    [layer] = [future.result() for future in first]
    assert not layer.grant.laid
    # Whoever is asked in between is answered: nobody but the layer has a cluster.
    assert client.summary(run)["leases"] == 1
    assert machine.events().count(PREPARE) == 1
    layer.laid()
    assert (layer.grant.laid, layer.grant.revision) == (True, 8)
    others = [future.result(timeout=60) for future in futures if future not in first]
    assert [lease.grant.laid for lease in others] == [True, True]
    assert [event for event in machine.events() if event.startswith("settle")] == [f"settle {layer.grant.cluster} "]


def test_a_cluster_without_a_wish_needs_nothing_laid(open_lease):
    assert open_lease(request()).grant.laid


def test_what_the_baseline_is_made_of_is_passed_on(machine, open_lease):
    lease = open_lease(wanting(baseline_about="crd/a.yaml, deploy/b.yaml"))
    lease.laid()
    assert f"settle {lease.grant.cluster} crd/a.yaml, deploy/b.yaml" in machine.events()


def test_where_it_can_not_be_cloned_everybody_lays_it_but_nobody_waits(machine, open_lease):
    machine.wish("unclonable", "pods, which run on the host")
    first = open_lease(wanting())
    first.laid()
    second, third = open_lease(wanting()), open_lease(wanting())
    assert [lease.grant.laid for lease in (second, third)] == [False, False]
    third.laid()
    second.laid()


def test_two_baselines_are_laid_side_by_side(open_lease):
    one, other = open_lease(wanting("b")), open_lease(wanting("c"))
    assert (one.grant.laid, other.grant.laid) == (False, False)
    one.laid()
    assert open_lease(wanting("b")).grant.laid


def test_a_baseline_that_can_not_be_laid_fails_who_waits_and_who_comes_later_but_nobody_else(
    machine, open_lease, ask_beside
):
    layer = open_lease(wanting(holder="test_layer"))
    waiting = ask_beside(wanting(), wanting())
    until(lambda: all(future.running() for future in waiting))
    layer.not_laid("ManifestError: spec is wrong")
    prepared = machine.events().count(PREPARE)
    reason = r"could not be prepared; test_layer tells all about it\. ManifestError: spec is wrong$"
    for future in waiting:
        with pytest.raises(ProvisionError, match=reason):
            future.result(timeout=60)
    for _ in range(2):
        with pytest.raises(ProvisionError, match=reason):
            open_lease(wanting())
    assert machine.events().count(PREPARE) == prepared, "nothing is started for what is known to fail"
    assert talk(layer.grant.gate) == b"hello", "the layer's own lease goes on, for its evidence"
    assert open_lease(request()).grant.laid


def test_a_cluster_that_does_not_come_to_rest_is_no_baseline_for_anybody(machine, open_lease):
    machine.wish("unsettled", "No baseline could be taken: still changing: configmaps/default/a")
    layer = open_lease(wanting(holder="test_layer"))
    with pytest.raises(ProvisionError, match="still changing: configmaps/default/a"):
        layer.laid()
    assert not layer.grant.laid
    with pytest.raises(ProvisionError, match=r"test_layer tells all about it\. .*configmaps/default/a"):
        open_lease(wanting())
    assert talk(layer.grant.gate) == b"hello"


def test_who_is_killed_while_it_lays_passes_the_job_on(run, machine, ask_beside, start_worker):
    worker = start_worker(run, command=[sys.executable, "-c", LAYER, json.dumps(run.to_json())])
    assert json.loads(worker.stdout.readline()) == {"laid": False}
    [waiting] = ask_beside(wanting(holder="test_heir"))
    worker.kill()
    heir = waiting.result(timeout=60)
    assert not heir.grant.laid
    assert machine.events().count(PREPARE) == 2


def test_who_gives_its_cluster_back_without_a_word_passes_the_job_on_too(run, open_lease):
    open_lease(wanting()).release()
    assert not open_lease(wanting()).grant.laid
    until(lambda: client.summary(run)["retirements"] == {"its baseline was never laid": 1})


def test_a_cluster_that_was_put_back_is_handed_out_again_with_another_gate(machine, run, open_lease):
    machine.wish("recycling", "yes")
    gates, clusters = set(), set()
    for _ in range(2):
        lease = open_lease(request(expected=1))
        assert talk(lease.grant.gate) == b"hello"
        clusters.add(lease.grant.cluster)
        gates.add(lease.grant.gate)
        lease.release()
        until(lambda: client.summary(run)["recycled"] == len(gates))
    assert (len(clusters), len(gates)) == (1, 2)
    assert machine.events().count(PREPARE) == 1
    totals = client.summary(run)
    assert (totals["fresh"], totals["recycled"], totals["retired"], totals["retirements"]) == (1, 2, 0, {})


def test_a_baseline_survives_recycling(machine, run, open_lease):
    machine.wish("recycling", "yes")
    machine.wish("unclonable", "yes")
    lease = open_lease(wanting())
    lease.laid()
    lease.release()
    until(lambda: client.summary(run)["recycled"] == 1)
    again = open_lease(wanting())
    assert (again.grant.cluster, again.grant.laid) == (lease.grant.cluster, True)


def test_a_cluster_that_can_not_be_put_back_is_thrown_away_and_it_is_told_why(machine, run, open_lease):
    machine.wish("recycling", "yes")
    machine.wish("unrecyclable", "it keeps changing: configmaps/default/a")
    names = set()
    for number in (1, 2):
        lease = open_lease(request(expected=1))
        names.add(lease.grant.cluster)
        lease.release()
        until(lambda number=number: client.summary(run)["retired"] == number)
    assert len(names) == 2
    totals = client.summary(run)
    assert totals["retirements"] == {"it keeps changing: configmaps/default/a": 2}
    assert totals["recycled"] == 0


def test_a_cluster_that_died_is_not_even_tried(machine, run, open_lease):
    machine.wish("recycling", "yes")
    lease = open_lease(request(expected=1))
    machine.kill("kube-apiserver")
    until(lease.deaths)
    lease.release()
    until(lambda: client.summary(run)["retirements"] == {"one of its processes died": 1})
    assert not [event for event in machine.events() if event.startswith("recycle")]


def test_where_every_test_is_to_have_a_fresh_one_nothing_is_put_back(machine, run, open_lease):
    machine.wish("recycling", "yes")
    fresh = replace(SETTINGS, isolation="fresh")
    first = open_lease(request(expected=1), settings=fresh)
    first.release()
    second = open_lease(request(expected=1), settings=fresh)
    assert first.grant.cluster != second.grant.cluster
    until(lambda: client.summary(run)["retired"] == 1)
    totals = client.summary(run)
    assert (totals["recycled"], totals["retirements"]) == (0, {})
    assert not [event for event in machine.events() if event.startswith("recycle")]


def test_a_cluster_that_comes_back_when_nobody_is_served_any_more_is_thrown_away(machine, run, open_lease):
    machine.wish("recycling", "yes")
    machine.wish("recycling-waits", "yes")
    kept, released = open_lease(request(expected=2)), open_lease(request(expected=2))
    kept.release(keep=True)
    released.release()
    client.keep(run)
    machine.wish("recycling-waits", "")
    until(lambda: client.list_runs(run.directory.parent)[0].clusters == {kept.grant.cluster: "kept"})


def test_a_test_that_wants_a_fresh_one_gets_it_and_others_get_used_ones(machine, run, open_lease):
    machine.wish("recycling", "yes")
    first = open_lease(request(expected=1))
    first.release()
    until(lambda: client.summary(run)["recycled"] == 1)
    fresh, used = open_lease(request(isolation="fresh")), open_lease(request())
    assert fresh.grant.cluster != first.grant.cluster
    assert used.grant.cluster == first.grant.cluster


def test_a_state_is_remembered_and_gone_back_to(open_lease):
    lease = open_lease()
    first, second = lease.checkpoint(), lease.checkpoint()
    assert first != second
    assert [lease.restore(name) for name in (second, first, first)] == ["", "", ""]
    assert talk(lease.grant.gate) == b"hello"


def test_what_somebody_kept_writing_is_told(machine, open_lease):
    machine.wish("restless", "configmaps/default/a")
    lease = open_lease()
    assert lease.restore(lease.checkpoint()) == "configmaps/default/a"


def test_a_checkpoint_that_nobody_took_is_an_error_and_the_lease_goes_on(open_lease):
    lease = open_lease()
    name = lease.checkpoint()
    with pytest.raises(ProvisionError, match="there is no 'another'"):
        lease.restore("another")
    assert lease.restore(name) == ""


def test_checkpoints_end_with_their_lease(machine, run, open_lease):
    machine.wish("recycling", "yes")
    lease = open_lease(request(expected=1))
    name = lease.checkpoint()
    lease.release()
    for call in (lease.checkpoint, lambda: lease.restore(name), lease.laid, lambda: lease.not_laid("late")):
        with pytest.raises(LeaseLost, match="has ended, the cluster is another test's now"):
            call()
    until(lambda: client.summary(run)["recycled"] == 1)
    again = open_lease(request(expected=1))
    assert again.grant.cluster == lease.grant.cluster
    with pytest.raises(ProvisionError, match="there is no"):
        again.restore(name)


def test_a_death_beside_a_step_is_told_with_it(machine, open_lease):
    lease = open_lease()
    machine.kill("kube-apiserver")
    until(lambda: lease.checkpoint() and lease.deaths())
    assert [death.status for death in lease.deaths()] == ["killed by signal 9"]

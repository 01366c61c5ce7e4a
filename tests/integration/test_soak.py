"""The soak's own parts against real clusters: it must see dirt where there is some, and make none where it looks."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY))  # the soak is no distribution

from pytest_vcluster.comparison import differences, read  # noqa: E402
from soak import liveness, probes  # noqa: E402
from soak.access import ServiceRange  # noqa: E402
from soak.dice import Dice  # noqa: E402
from soak.executor import Executor  # noqa: E402
from soak.kinds import KINDS  # noqa: E402
from soak.moves import MOVES  # noqa: E402
from soak.scenario import scenario  # noqa: E402
from soak.world import World  # noqa: E402

FRESH = pytest.mark.vcluster(isolation="fresh")
# What can be created and is not kept, and what some versions serve and others don't.
NOT_KEPT = {"bindings", "componentstatuses"}


def settled(cluster):
    cluster.kubectl("wait", "--for=create", "node/node-3", "--timeout=120s", timeout=130)
    cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=120s", timeout=130)
    return read(cluster.api.rest)


def access_to(cluster):
    return SimpleNamespace(open=lambda: cluster.api.rest, close=lambda: None)


@FRESH
def test_looking_leaves_no_trace(vcluster):
    before = settled(vcluster)
    answers = probes.ask(vcluster.api.rest)
    assert differences(before, read(vcluster.api.rest)) == []
    assert probes.differences(answers, probes.ask(vcluster.api.rest)) == []
    refused = {name for name, answer in answers.items() if isinstance(answer, str)}
    assert refused == {"a Service in another range", "a custom object that nobody defined"}


@FRESH
def test_a_fresh_cluster_is_alive(vcluster):
    settled(vcluster)
    assert liveness.check(vcluster.api.rest, 7) == []


@FRESH
def test_what_a_lease_does_is_seen(vcluster):
    before = settled(vcluster)
    executor = Executor(access_to(vcluster), ServiceRange.of(vcluster.api.rest))
    executor.perform(next(each for each in map(scenario, range(99)) if len(each.steps) > 25 and each.cut_after is None))
    assert len(differences(before, read(vcluster.api.rest))) > 3
    assert sum(count for (_, answer), count in executor.answers.items() if answer == "done") > 3


def test_every_kind_that_can_be_made_is_known_to_the_soak(vcluster_module):
    served = {
        found.plural
        for found in vcluster_module.api.discovery.catalog().resources
        if {"create", "list"} <= found.verbs and found.group not in {"example.org", "stable.example.com"}
    }
    assert served - NOT_KEPT <= set(KINDS)


@pytest.mark.parametrize("move", sorted(MOVES, key=lambda move: move.rough), ids=lambda move: move.name)
def test_every_move_does_something(vcluster_module, move):
    """Whatever else it does: one of a few attempts at it is no mere error. Rough ones last: they spoil the cluster."""
    name = move.name
    executor = Executor(access_to(vcluster_module), ServiceRange.of(vcluster_module.api.rest))
    for seed in range(12):
        executor._lane(vcluster_module.api.rest, move(World(Dice(seed))))
        if executor.answers[name, "done"]:
            break
        vcluster_module.api.rest.call("DELETE", "/api/v1/namespaces/default/resourcequotas")
    executor._over.set()
    for kind in ("validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies"):
        vcluster_module.api.rest.call("DELETE", KINDS[kind].path())
    assert executor.answers[name, "done"], dict(executor.answers)


def test_a_short_soak_runs_from_the_command_line(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "soak", "3", "--seed", "2", "--workers", "1"],
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert "4 leases" in ended.stdout, ended.stdout + ended.stderr
    assert ended.returncode == 0, ended.stdout

from __future__ import annotations

import pytest
import yaml
from vcluster_syncer.switches import selected
from vcluster_syncer.translate import KINDS

from pytest_vcluster import sync_switches
from pytest_vcluster.hosts import syncer
from pytest_vcluster.hosts.chart import chart_folder

# Cluster-wide on the host, or a way of carrying everything.
NOT_OFFERED = {
    "from_host.events",
    "from_host.nodes",
    "from_host.persistent_volumes",
    "to_host.namespaces",
    "to_host.persistent_volume_claims",
    "to_host.persistent_volumes",
    "to_host.priority_classes",
}


def test_every_switch_of_the_syncer_is_offered_or_left_out_on_purpose():
    there = {kind.switch.path for kind in KINDS if kind.switch is not None}
    assert set(sync_switches.SWITCHES) == there - NOT_OFFERED


def test_what_is_offered_for_the_host_stays_in_a_namespace():
    offered = [kind for kind in KINDS if kind.switch is not None and kind.switch.path in sync_switches.SWITCHES]
    cluster_wide = [kind for kind in offered if kind.switch.direction == "to_host" and not kind.resource.namespaced]
    assert cluster_wide == []


def test_the_chart_knows_every_switch():
    known = yaml.safe_load((chart_folder() / "values.yaml").read_text())["sync"]
    told = sync_switches.to_chart(sync_switches.turned_on(sync_switches.SWITCHES, beside={}))
    assert all(set(names) <= set(known[direction]) for direction, names in told.items())


@pytest.mark.parametrize("switch", sync_switches.SWITCHES)
def test_the_syncer_of_the_embedded_host_takes_every_switch(tmp_path, switch):
    path = syncer.write_config(tmp_path, host_kubeconfig=tmp_path / "k", kubelet={}, sync=(switch,))
    told = yaml.safe_load(path.read_text())["sync"]
    chosen = {f"{direction}.{name}": on for direction, names in told.items() for name, on in names.items()}
    assert chosen[switch] is True
    on = {kind.switch.path for kind in selected(KINDS, chosen) if kind.switch is not None}
    assert switch in on


def test_what_comes_from_the_host_does_not_go_there_as_well():
    beside = {"to_host": {"priority_classes": True, "persistent_volumes": True}}
    assert sync_switches.turned_on(["from_host.priority_classes"], beside=beside) == {
        "to_host": {"priority_classes": False, "persistent_volumes": True},
        "from_host": {"priority_classes": True},
    }
    assert beside["to_host"]["priority_classes"]

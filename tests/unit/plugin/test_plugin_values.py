"""Settings and nodes: plain values, and what people write for them."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import pytest

from pytest_vcluster.errors import SettingsError
from pytest_vcluster.nodes import parse_nodes
from pytest_vcluster.settings import DEFAULT_CAPACITY, DEFAULT_NODES, NodeShape, Settings

ALL = Settings(
    versions=("v1.36.4", "v1.37.1"),
    isolation="fresh",
    keep="always",
    evidence=Path("/evidence"),
    pool=3,
    timeout=1.5,
    report=Path("/report.html"),
    offline=True,
    kubeconfig=Path("/kubeconfig"),
    context="c",
    nodes=(NodeShape(name="a", labels={"x": "y"}, taints=({"key": "k", "effect": "NoExecute"},)),),
)


@pytest.mark.parametrize("settings", [Settings(), ALL], ids=["defaults", "everything"])
def test_settings_survive_json(settings: Settings) -> None:
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_every_field_of_settings_is_in_its_json() -> None:
    assert set(ALL.to_json()) == {field.name for field in dataclasses.fields(Settings)}


def test_settings_survive_pickling() -> None:
    assert pickle.loads(pickle.dumps(ALL)) == ALL


def test_there_are_three_equal_nodes_by_default() -> None:
    assert [node.name for node in DEFAULT_NODES] == ["node-1", "node-2", "node-3"]
    assert all(node.capacity == DEFAULT_CAPACITY for node in DEFAULT_NODES)


def test_a_number_of_nodes_means_plain_ones() -> None:
    assert [node.name for node in parse_nodes(2)] == ["node-1", "node-2"]


def test_a_described_node_keeps_the_default_capacity_of_what_it_does_not_name() -> None:
    (node,) = parse_nodes([{"capacity": {"cpu": 4, "nvidia.com/gpu": "2"}}])
    assert node == NodeShape(name="node-1", capacity={**DEFAULT_CAPACITY, "cpu": "4", "nvidia.com/gpu": "2"})


@pytest.mark.parametrize(
    ("taint", "meant"),
    [
        ("k=v:NoSchedule", {"key": "k", "value": "v", "effect": "NoSchedule"}),
        ("example.com/k:NoExecute", {"key": "example.com/k", "effect": "NoExecute"}),
        ({"key": "k", "effect": "PreferNoSchedule"}, {"key": "k", "effect": "PreferNoSchedule"}),
    ],
)
def test_a_taint_is_written_as_for_kubectl_or_as_in_a_node(taint: object, meant: object) -> None:
    assert parse_nodes([{"taints": [taint]}])[0].taints == (meant,)


def test_shapes_are_taken_as_they_are() -> None:
    assert parse_nodes(list(DEFAULT_NODES)) == DEFAULT_NODES


@pytest.mark.parametrize(
    "wrong",
    [
        0,
        -1,
        True,
        1.5,
        "3",
        [],
        {"name": "a"},
        ["a"],
        [{"name": "-a"}],
        [{"name": "a" * 41}],
        [{"name": 1}],
        [{"size": 1}],
        [{"labels": {"a": 1}}],
        [{"labels": "a=b"}],
        [{"taints": "k=v:NoSchedule"}],
        [{"taints": ["k=v"]}],
        [{"taints": ["k=v:Never"]}],
        [{"taints": [{"key": "k", "effect": "NoSchedule", "since": "1"}]}],
        [{"taints": [{"effect": "NoSchedule"}]}],
        [{"capacity": {"cpu": "lots"}}],
        [{"capacity": {"cpu": True}}],
        [{"capacity": {"cpu": -1}}],
        [{"capacity": ["cpu"]}],
        [{"name": "a"}, {"name": "a"}],
    ],
    ids=repr,
)
def test_wrong_nodes_are_refused_with_what_is_allowed(wrong: object) -> None:
    with pytest.raises(SettingsError, match=r"allowed: |needs a name of its own"):
        parse_nodes(wrong)

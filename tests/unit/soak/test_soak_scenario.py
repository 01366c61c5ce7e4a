"""What scenarios are made of, over 500 seeds."""

import json
import re
from collections import Counter

import pytest

from soak.dice import Dice
from soak.kinds import KINDS
from soak.model import NUMBER, PAUSE, SERVICE_ADDRESS, USE, WATCH
from soak.moves import MOVES, RARE
from soak.scenario import scenario

SEEDS = range(500)
ALL = [scenario(seed) for seed in SEEDS]
STEPS = [step for each in ALL for step in each.steps]
CREATED = [step for step in STEPS if step.method == "POST" and step.body and "metadata" in step.body]
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?")
_ADDRESS = re.compile(SERVICE_ADDRESS.replace("%d", r"\d+"))


def test_a_scenario_follows_from_its_seed():
    assert [scenario(seed) for seed in SEEDS] == ALL
    assert len({json.dumps([step.path for step in each.steps]) for each in ALL}) > 490


def test_every_move_is_made():
    made = Counter(step.move for step in STEPS)
    assert {move.name for move in MOVES} - set(made) == set()
    assert len({move.name for move in MOVES}) == len(MOVES)
    rare = {move.name for _, move in RARE}
    assert rare <= {step.move for seed in range(3000) for step in scenario(seed).steps}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.plural)
def test_objects_of_every_built_in_kind_are_made(kind):
    paths = [step.path for step in CREATED] + [step.path for step in STEPS if "apply-patch" in step.content_type]
    assert any(f"/{kind.plural}" in path for path in paths)


def test_everything_else_is_done():
    methods = Counter(step.method for step in STEPS)
    assert set(methods) == {"GET", "POST", "PATCH", "DELETE", WATCH, PAUSE, USE}
    types = {step.content_type.partition("/")[2] for step in STEPS}
    assert types == {
        "json",
        "merge-patch+json",
        "strategic-merge-patch+json",
        "json-patch+json",
        "apply-patch+yaml",
    }
    last = {step.path.rpartition("/")[2] for step in STEPS}
    assert {"status", "scale", "token", "eviction", "binding", "approval", "ephemeralcontainers"} <= last
    text = json.dumps([step.body for step in STEPS])
    for word in ("NodePort", "LoadBalancer", "ExternalName", '"Webhook"', "example.org/never", "ownerReferences"):
        assert word in text
    for policy in ("Ignore", "Fail"):
        assert f'"failurePolicy": "{policy}"' in text
    assert _ADDRESS.search(text)


def test_a_lease_is_short_mostly_and_cut_off_sometimes():
    lengths = sorted(sum(len(lane) for lane in each.lanes) for each in ALL)
    assert lengths[len(lengths) // 4] >= 5
    assert lengths[len(lengths) * 9 // 10] <= 60
    cut = [each for each in ALL if each.cut_after is not None]
    assert 0.2 < len(cut) / len(ALL) < 0.4
    assert all(each.hammers for each in cut)
    assert {len(each.lanes) for each in ALL} >= {1, 2, 3}
    assert sum(step.times for step in STEPS if step.method != PAUSE) < len(STEPS) + 10 * 3000


def test_what_is_made_looks_legal():
    for step in CREATED:
        metadata = step.body["metadata"]
        if step.path.endswith(("/binding", "/eviction")):
            continue
        if step.move != "hammer":
            assert step.body["apiVersion"]
            assert step.body["kind"]
            root = "/api/v1" if step.body["apiVersion"] == "v1" else f"/apis/{step.body['apiVersion']}"
            assert step.path.startswith(root + "/")
        if not _ADDRESS.fullmatch(metadata["name"]):
            assert _NAME.fullmatch(metadata["name"].replace(NUMBER, "1")), metadata["name"]
        assert metadata.get("namespace", "") == (re.findall(r"/namespaces/([^/]+)/", step.path) or [""])[0]
        assert len(json.dumps(step.body)) < 1_500_000
        for finalizer in metadata.get("finalizers", ()):
            assert finalizer in {"example.org/never", "soak.example.org/held", "foregroundDeletion", "orphan"}


def test_only_paths_of_an_api_are_asked_for():
    for step in STEPS:
        assert step.path.startswith(("/api/", "/apis", "/version")) or step.method in {PAUSE, USE}
        assert not step.path.startswith("/openapi")
        assert " " not in step.path


def test_dice_fall_the_same_way_again():
    def thrown(seed):
        dice = Dice(seed)
        return [dice.name(), dice.text(), dice.labels(), dice.selector(), dice.data(), dice.seconds(0, 1), dice.word()]

    assert thrown(7) == thrown(7)
    assert thrown(7) != thrown(8)

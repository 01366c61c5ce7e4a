"""From a seed to what a lease does.

The one rule: pure, and the same in every process and on every machine: who is told a seed can do all of it again.
"""

from __future__ import annotations

from soak.dice import Dice
from soak.kinds import KINDS
from soak.model import APPLY, NUMBER, Scenario, Step
from soak.moves import MOVES, RARE
from soak.moves.churn import numbered
from soak.moves.definitions import GROUPS, PLURALS
from soak.world import World

_CUT = 0.3
_LIVELY = 0.25
_GENTLE = 0.75
"""Of the leases: a cluster that lost an object of its baseline may be thrown away instead of put back."""
_FEW, _SOME, _SEVERAL = (1, 4), (4, 12), (12, 28)
"""Moves of a lease; a move has two steps on average."""

LOOK = Scenario(seed=-1, lanes=())
"""What a lease does that was opened for a look only."""


def scenario(seed: int) -> Scenario:
    """What the lease of this seed does."""
    dice = Dice(seed)
    world = World(dice)
    count = dice.between(*dice.weighted((_FEW, _SOME, _SEVERAL), (2, 5, 3)))
    allowed = [move for move in MOVES if not move.rough] if dice.chance(_GENTLE) else MOVES
    moves = [dice.weighted(allowed, [move.weight for move in allowed]) for _ in range(count)]
    moves += [move for probability, move in RARE if dice.chance(probability)]
    lanes: list[list[Step]] = [[] for _ in range(dice.weighted((1, 2, 3), (5, 3, 2)))]
    for move in moves:
        dice.pick(lanes).extend(move(world))
    cut = dice.seconds(0.02, 0.8) if dice.chance(_CUT) else None
    return Scenario(
        seed=seed,
        lanes=tuple(tuple(lane) for lane in lanes if lane),
        hammers=tuple(_hammer(world) for _ in range(dice.between(1, 3))) if cut is not None else (),
        lively=dice.chance(_LIVELY),
        cut_after=cut,
    )


def _hammer(world: World) -> tuple[Step, ...]:
    """Requests to be repeated until they are cut off."""
    world.move = "hammer"
    dice, place = world.dice, world.namespace()
    spec = {"containers": [{"name": "main", "image": "nginx"}]}
    labels = {"app": NUMBER}
    template = {"metadata": {"labels": labels}, "spec": spec}
    name = f"hammer-{NUMBER}"
    metadata = {"name": name, "namespace": place}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
    }
    applied = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "hammered", "namespace": place},
        "data": {"number": NUMBER},
    }
    group, plural = dice.pick(GROUPS), dice.pick(PLURALS)
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    defined = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": plural[:-1].title()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    query = {"fieldManager": "hammer", "force": "true"}
    deployments, config_maps = KINDS["deployments"], KINDS["configmaps"]
    definitions = KINDS["customresourcedefinitions"]
    choices: tuple[tuple[Step, ...], ...] = (
        (numbered(world, data={"number": NUMBER}),),
        (
            world.step("POST", deployments.path(namespace=place), body=deployment),
            world.step("DELETE", deployments.path(namespace=place, name=name)),
        ),
        (
            world.step(
                "PATCH",
                config_maps.path(namespace=place, name="hammered"),
                query=query,
                body=applied,
                content_type=APPLY,
            ),
        ),
        (
            world.step("POST", definitions.path(), body=defined),
            world.step("DELETE", definitions.path(name=f"{plural}.{group}")),
        ),
        (
            world.step("POST", "/api/v1/namespaces", body={"metadata": {"name": name}}),
            world.step("DELETE", f"/api/v1/namespaces/{name}"),
        ),
    )
    return dice.pick(choices)

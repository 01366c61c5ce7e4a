"""Moves with what was made before, whatever it is; and with many things at once.

The one rule: what is large is rare, so that a soak of hundreds of leases meets it and is still over today.
"""

from __future__ import annotations

from typing import Any

from soak.kinds import KINDS
from soak.model import JSON_PATCH, NUMBER, PAUSE, WATCH, Step
from soak.moves.core import config_map
from soak.moves.move import Move, move
from soak.world import MANAGERS, Made, World

MANY = 3000
LARGE_DATA = 1_048_000
LARGE_ANNOTATION = 260_000


@move(8)
def deletion(world: World) -> list[Step]:
    """Something deleted."""
    made = world.found()
    return [world.delete(made)] if made else config_map(world)


@move(6)
def relabelling(world: World) -> list[Step]:
    """Labels and annotations changed."""
    made = world.found()
    if made is None:
        return config_map(world)
    labels = {"labels": world.dice.labels(), "annotations": {"example.org/note": world.dice.text()}}
    return [world.merge(made, {"metadata": labels})]


@move(4)
def finalizers(world: World) -> list[Step]:
    """Something that is deleted and never goes; sometimes it is let go at last."""
    made = world.found()
    if made is None:
        return config_map(world)
    steps = [world.merge(made, {"metadata": {"finalizers": ["example.org/never"]}}), world.step("DELETE", made.path())]
    if world.dice.chance(0.3):
        free = [{"op": "remove", "path": "/metadata/finalizers"}]
        steps.append(world.step("PATCH", made.path(), body=free, content_type=JSON_PATCH))
    return steps


@move(4)
def ownership(world: World) -> list[Step]:
    """Something owned by what is not there, or not any more: the garbage collector's business."""
    owned = world.found("configmaps", "secrets", "pods", "services", "jobs")
    if owned is None:
        return config_map(world)
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": world.dice.name(),
        "uid": f"00000000-0000-4000-8000-{world.dice.between(0, 10**12 - 1):012d}",
        **world.dice.maybe(0.5, blockOwnerDeletion=True),
    }
    return [world.merge(owned, {"metadata": {"ownerReferences": [owner]}})]


@move(4)
def conflicts(world: World) -> list[Step]:
    """One object applied by many managers, who don't agree."""
    dice = world.dice
    made = Made(KINDS["configmaps"], dice.name(), world.namespace())
    world.made.append(made)
    steps = []
    for manager in (*dice.some(MANAGERS, low=2), *dice.some(MANAGERS)):
        metadata = {"name": made.name, "namespace": made.namespace, "labels": dice.labels()}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": dice.word()} | dice.data()}
        query = {"fieldManager": manager, **({"force": "true"} if dice.chance(0.5) else {})}
        steps.append(
            world.step("PATCH", made.path(), query=query, body=body, content_type="application/apply-patch+yaml")
        )
    return steps


@move(5)
def held_watch(world: World) -> list[Step]:
    """A watch that is never closed."""
    dice = world.dice
    plural = dice.pick(("configmaps", "pods", "customresourcedefinitions", "namespaces", "events", "clusterroles"))
    return [world.step(WATCH, KINDS[plural].path())]


@move(4)
def reading(world: World) -> list[Step]:
    """Lists, also of pieces, and discovery."""
    dice = world.dice
    kind = KINDS[dice.pick(sorted(KINDS))]
    query: dict[str, str] = dice.pick(({}, {"limit": "2"}, {"resourceVersion": "0"}, {"labelSelector": "app=a"}))
    return [world.step("GET", kind.path(), query=query), world.step("GET", dice.pick(("/apis", "/api/v1", "/version")))]


@move(3)
def pause(world: World) -> list[Step]:
    """Time for the controllers."""
    return [world.step(PAUSE, seconds=world.dice.seconds(0.01, 0.25))]


def numbered(world: World, *, data: object) -> Step:
    """A ConfigMap whose name has a number in it."""
    name, place = f"many-{NUMBER}", world.namespace()
    metadata = {"name": name, "namespace": place, "labels": {"many": "x"}}
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    return world.step("POST", KINDS["configmaps"].path(namespace=place), body=body)


def many(world: World) -> list[Step]:
    """Thousands of objects."""
    step = numbered(world, data={"number": NUMBER})
    return [Step(move=step.move, method=step.method, path=step.path, body=step.body, times=MANY)]


def large(world: World) -> list[Step]:
    """Objects near the limit: a ConfigMap takes 1 MiB of data, and annotations 256 KiB."""
    made = []
    for _ in range(world.dice.between(1, 3)):
        size = world.dice.pick((200_000, LARGE_DATA))
        annotations = {"annotations": {"example.org/large": "x" * LARGE_ANNOTATION}}
        made.append(world.create("configmaps", {"data": {"large": "x" * size}}, metadata=annotations))
    return made


MOVES: tuple[Move, ...] = (
    deletion, relabelling, finalizers, ownership, conflicts, held_watch, reading, pause,
)  # fmt: skip
RARE: tuple[tuple[float, Move], ...] = ((0.005, Move("many", 0, many)), (0.02, Move("large", 0, large)))
"""Probability per lease."""

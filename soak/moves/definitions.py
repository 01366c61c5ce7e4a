"""Moves with custom resources.

The one rule: a few names of kinds, and another schema each time; what an API server remembers of a kind is the most
likely thing to be wrong after its definition was exchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from soak.kinds import KINDS, Kind
from soak.model import MERGE, USE, Step
from soak.moves.admission import DEAD
from soak.moves.move import Move, move
from soak.world import Made, World

GROUPS = ("example.org", "stable.example.com")
PLURALS = ("widgets", "gadgets", "gizmos", "crontabs")
_VERSIONS = ("v1alpha1", "v1beta1", "v1", "v2")
_FIELDS = ("size", "colour", "replicas", "items", "nested", "enabled")


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition that there should be, as far as objects of it must know it."""

    kind: Kind
    versions: tuple[str, ...]
    types: tuple[tuple[str, str], ...]
    """Field of the spec -> type."""

    @property
    def name(self) -> str:
        """The definition's own name."""
        return f"{self.kind.plural}.{self.kind.api_version.partition('/')[0]}"


def _property(world: World, kind: str) -> dict[str, Any]:
    dice = world.dice
    match kind:
        case "integer":
            return {"type": "integer", "minimum": 0, **dice.maybe(0.4, default=dice.between(0, 9))}
        case "string":
            return {"type": "string", "maxLength": 500, **dice.maybe(0.4, default=dice.word())}
        case "boolean":
            return {"type": "boolean", **dice.maybe(0.4, default=dice.chance(0.5))}
        case "array":
            return {"type": "array", "maxItems": 50, "items": {"type": "string"}}
        case _:
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _value(world: World, kind: str) -> object:
    dice = world.dice
    match kind:
        case "integer":
            return dice.between(0, 100)
        case "string":
            return dice.text(30)
        case "boolean":
            return dice.chance(0.5)
        case "array":
            return [dice.word() for _ in range(dice.between(0, 4))]
        case _:
            return {dice.word(): dice.text(10)}


def _schema(world: World, types: dict[str, str]) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": "object", "properties": {name: _property(world, types[name]) for name in types}}
    if world.dice.chance(0.2):
        spec["x-kubernetes-validations"] = [{"rule": "self == self", "message": "odd"}]
    if world.dice.chance(0.2):
        spec["required"] = world.dice.some(sorted(types), high=1)
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"type": "object", "properties": {"spec": spec, "status": status}}


def _body(world: World, group: str, plural: str, types: dict[str, str]) -> dict[str, Any]:
    dice = world.dice
    versions = dice.some(_VERSIONS, high=3)
    stored = dice.pick(versions)
    kind = dice.weighted((plural[:-1].title(), "Thing"), (9, 1))
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    spec: dict[str, Any] = {
        "group": group,
        "scope": dice.weighted(("Namespaced", "Cluster"), (3, 1)),
        "names": {
            **names,
            **dice.maybe(0.4, shortNames=[dice.pick(("wd", "gd", "po"))]),
            **dice.maybe(0.2, categories=["all"]),
        },
        "versions": [
            {
                "name": version,
                "served": version == stored or dice.chance(0.8),
                "storage": version == stored,
                "schema": {"openAPIV3Schema": _schema(world, types)},
                **dice.maybe(0.6, subresources=_subresources(world, types)),
                **dice.maybe(0.2, deprecated=True, deprecationWarning="old"),
                **dice.maybe(0.3, additionalPrinterColumns=[{"name": "A", "type": "string", "jsonPath": ".spec.a"}]),
            }
            for version in versions
        ],
    }
    if dice.chance(0.15):
        webhook = {"conversionReviewVersions": ["v1"], "clientConfig": {"url": f"{DEAD}/convert"}}
        spec["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    return spec


def _subresources(world: World, types: dict[str, str]) -> dict[str, object]:
    if types.get("replicas") == "integer" and world.dice.chance(0.7):
        paths = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
        return {"status": {}, "scale": paths}
    return {"status": {}}


def _define(world: World) -> tuple[Step, Definition]:
    dice = world.dice
    group, plural = dice.pick(GROUPS), dice.pick(PLURALS)
    types = {name: dice.pick(("integer", "string", "boolean", "array", "object")) for name in dice.some(_FIELDS, low=2)}
    spec = _body(world, group, plural, types)
    served = tuple(version["name"] for version in spec["versions"] if version["served"])
    kind = Kind(plural, f"{group}/{served[0]}", spec["names"]["kind"], spec["scope"] == "Namespaced")
    defined = Definition(kind, served, tuple(types.items()))
    step = world.create("customresourcedefinitions", {"spec": spec}, name=defined.name)
    world.definitions.append(defined)
    return step, defined


def _objects(world: World, defined: Definition) -> list[Step]:
    dice = world.dice
    steps = []
    for _ in range(dice.between(1, 4)):
        version = dice.pick(defined.versions)
        group = defined.kind.api_version.partition("/")[0]
        kind = Kind(defined.kind.plural, f"{group}/{version}", defined.kind.kind, defined.kind.namespaced)
        spec = {name: _value(world, kind) for name, kind in defined.types}
        steps.append(world.create(kind, {"spec": spec}))
        made = world.made[-1]
        if dice.chance(0.3):
            status = {"status": {"phase": dice.word(), "observedGeneration": 1}}
            steps.append(world.merge(made, status, subresource="status"))
        if dice.chance(0.1):
            change = {"spec": {"replicas": dice.between(0, 9)}}
            steps.append(world.step("PATCH", made.path("scale"), body=change, content_type=MERGE))
        if dice.chance(0.2):
            steps.append(world.delete(made))
    return steps


@move(9)
def definition(world: World) -> list[Step]:
    """A CustomResourceDefinition and objects of it, mostly once it is served."""
    step, defined = _define(world)
    waited = [world.step(USE, defined.name)] if world.dice.chance(0.9) else []
    return [step, *waited, *_objects(world, defined)]


@move(2)
def definition_exchanged(world: World) -> list[Step]:
    """A definition deleted, and made anew with another schema, while there are objects of it."""
    steps = definition(world)
    name = world.definitions[-1].name
    gone = world.step("DELETE", KINDS["customresourcedefinitions"].path(name=name))
    again, defined = _define(world)
    return [*steps, gone, again, world.step(USE, defined.name), *_objects(world, defined)]


@move(2)
def definition_changed(world: World) -> list[Step]:
    """A definition whose versions or names change while it is in use."""
    if not world.definitions:
        return definition(world)
    defined = world.dice.pick(world.definitions)
    made = Made(KINDS["customresourcedefinitions"], defined.name)
    change = world.dice.pick(
        (
            {"spec": {"names": {"shortNames": ["nn"], "categories": ["soak"]}}},
            {"spec": {"conversion": {"strategy": "None", "webhook": None}}},
            {"metadata": {"labels": {"example.org/mark": "x"}}},
        )
    )
    return [world.merge(made, change)]


@move(2)
def definition_stuck(world: World) -> list[Step]:
    """A definition that is deleted and stays, for an object of it never goes."""
    step, defined = _define(world)
    spec = {name: _value(world, kind) for name, kind in defined.types}
    stuck = {"finalizers": ["example.org/never"]}
    held = world.create(defined.kind, {"spec": spec}, metadata=stuck)
    gone = world.step("DELETE", KINDS["customresourcedefinitions"].path(name=defined.name))
    return [step, world.step(USE, defined.name), held, gone]


@move(2)
def custom_objects(world: World) -> list[Step]:
    """More objects of a kind that was defined before."""
    if not world.definitions:
        return definition(world)
    return _objects(world, world.dice.pick(world.definitions))


MOVES: tuple[Move, ...] = (
    definition, definition_exchanged, definition_changed, definition_stuck, custom_objects,
)  # fmt: skip

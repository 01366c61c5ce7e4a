"""What a scenario has made so far, and how it makes more.

The one rule: whatever a lease makes goes through here, so that later moves find it: most of the harm that one lease
can do to the next comes of changing and deleting, not of making.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from soak.dice import Dice
from soak.kinds import KINDS, Kind
from soak.model import APPLY, JSON, MERGE, Step

MANAGERS = ("kubectl", "helm", "operator", "argocd")
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
FINALIZERS = ("example.org/never", "soak.example.org/held", "foregroundDeletion", "orphan")


@dataclass(frozen=True, slots=True)
class Made:
    """An object that there should be."""

    kind: Kind
    name: str
    namespace: str = ""

    def path(self, subresource: str = "") -> str:
        """Where it is."""
        return self.kind.path(namespace=self.namespace, name=self.name, subresource=subresource)


@dataclass(slots=True)
class World:
    """A scenario in the making."""

    dice: Dice
    move: str = ""
    """The move that is being made."""
    made: list[Made] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=lambda: ["default"])
    definitions: list[Any] = field(default_factory=list)
    """Of custom resources, as `moves.definitions` keeps them."""

    def namespace(self) -> str:
        """Where to put something: mostly in a namespace that is the lease's own, sometimes in a system's."""
        return self.dice.pick(NAMESPACES) if self.dice.chance(0.05) else self.dice.pick(self.namespaces)

    def found(self, *plurals: str) -> Made | None:
        """Something that was made, of these kinds if any are given."""
        fits = [each for each in self.made if not plurals or each.kind.plural in plurals]
        return self.dice.pick(fits) if fits else None

    def create(
        self,
        plural: str | Kind,
        parts: Mapping[str, object],
        *,
        name: str = "",
        namespace: str = "",
        metadata: Mapping[str, object] | None = None,
    ) -> Step:
        """Make an object of these parts; mostly by POST, sometimes by server-side apply."""
        kind = KINDS[plural] if isinstance(plural, str) else plural
        name = name or self.dice.name()
        place = (namespace or self.namespace()) if kind.namespaced else ""
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": self.metadata(name, place) | dict(metadata or {}),
            **parts,
        }
        made = Made(kind, name, place)
        self.made.append(made)
        if self.dice.chance(0.25):
            return self.apply(made, body)
        manager = self.dice.pick(MANAGERS)
        path = kind.path(namespace=place)
        return self.step("POST", path, body=body, query={"fieldManager": manager})

    def metadata(self, name: str, namespace: str) -> dict[str, object]:
        """Name and place, and now and then what else metadata may hold."""
        dice = self.dice
        return {
            "name": name,
            **({"namespace": namespace} if namespace else {}),
            **dice.maybe(0.5, labels=dice.labels()),
            **dice.maybe(0.2, annotations={"example.org/note": dice.text()}),
            **dice.maybe(0.06, finalizers=[dice.pick(FINALIZERS)]),
        }

    def apply(self, made: Made, body: object) -> Step:
        """Have one of several managers apply it, with or without force."""
        query = {"fieldManager": self.dice.pick(MANAGERS)}
        if self.dice.chance(0.7):
            query["force"] = "true"
        return self.step("PATCH", made.path(), body=body, query=query, content_type=APPLY)

    def merge(self, made: Made, change: object, *, subresource: str = "") -> Step:
        """Change some fields."""
        return self.step("PATCH", made.path(subresource), body=change, content_type=MERGE)

    def delete(self, made: Made) -> Step:
        """Delete it, in one of the ways to do so."""
        options: dict[str, object] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        options["propagationPolicy"] = self.dice.pick(("Background", "Foreground", "Orphan"))
        options |= self.dice.maybe(0.3, gracePeriodSeconds=self.dice.pick((0, 0, 1, 30)))
        return self.step("DELETE", made.path(), body=options)

    def step(self, method: str, path: str = "", **more: Any) -> Step:
        """A step of the present move."""
        return Step(move=self.move, method=method, path=path, **more)


def of_baseline(plural: str, name: str, namespace: str = "") -> Made:
    """An object that every cluster is handed out with."""
    return Made(KINDS[plural], name, namespace)


def selector(labels: Mapping[str, str]) -> dict[str, object]:
    """Labels as a selector."""
    return {"matchLabels": dict(labels)}


__all__ = ["JSON", "MANAGERS", "NAMESPACES", "Made", "World", "of_baseline", "selector"]

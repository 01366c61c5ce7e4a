"""What can be waited for, in the words of `kubectl wait --for=...`.

The one rule: pure; a condition is met or not by one state of one object, and a status that is older than the object's
spec meets nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_vcluster.cluster.jsonpath import Path, as_text, parse_path
from pytest_vcluster.cluster.objects import condition_of, metadata

ALLOWED = (
    "'Available', 'condition=Available', 'condition=Ready=False', 'jsonpath={.status.phase}=Running', "
    "'create' or 'delete'"
)


class Condition(Protocol):
    """Something that is true of some states of an object."""

    def met(self, state: Mapping[str, Any] | None) -> bool:
        """Whether it is true of this state; None is an object that isn't there."""


@dataclass(frozen=True, slots=True)
class Created:
    """The object is there."""

    def met(self, state: Mapping[str, Any] | None) -> bool:
        """Whether it is."""
        return state is not None


@dataclass(frozen=True, slots=True)
class Deleted:
    """The object is gone, or is another one of the same name if the first one's `uid` is known."""

    uid: str = ""

    def met(self, state: Mapping[str, Any] | None) -> bool:
        """Whether it is."""
        return state is None or bool(self.uid and metadata(state).get("uid") != self.uid)


@dataclass(frozen=True, slots=True)
class HasCondition:
    """A condition of the object's status has this status."""

    type: str
    status: str = "True"

    def met(self, state: Mapping[str, Any] | None) -> bool:
        """Whether it has, and was made in view of the object's current spec."""
        found = condition_of(state, self.type) if state is not None else None
        if state is None or found is None or str(found.get("status", "")).lower() != self.status.lower():
            return False
        observed = found.get("observedGeneration", (state.get("status") or {}).get("observedGeneration"))
        return not isinstance(observed, int) or observed >= metadata(state).get("generation", 0)


@dataclass(frozen=True, slots=True)
class HasValue:
    """Everything that a path leads to has this value; with None for a value, it leads to anything at all."""

    path: Path
    value: str | None = None

    def met(self, state: Mapping[str, Any] | None) -> bool:
        """Whether it does."""
        found = [] if state is None else self.path.values(state)
        if self.value is None:
            return any(value not in (None, "", [], {}) for value in found)
        return bool(found) and all(as_text(value) == self.value for value in found)


def parse_condition(text: str) -> Condition:
    """The condition that kubectl means by `text`, or the one of that type; raises ValueError that lists what there is.

    Types of conditions are words in CamelCase, which kubectl's own words are not.
    """
    words = text.strip().removeprefix("--").removeprefix("for=")
    kind, _, rest = words.partition("=")
    if rest:
        match kind.lower():
            case "condition":
                name, _, status = rest.partition("=")
                return HasCondition(name, _unquoted(status) or "True")
            case "jsonpath":
                path, value = _split_path(_unquoted(rest))
                return HasValue(parse_path(path), value)
    match words.lower():
        case "create":
            return Created()
        case "delete":
            return Deleted()
    if words.isalnum() and words[0].isupper():
        return HasCondition(words)
    message = f"{text!r} is nothing that can be waited for; allowed: {ALLOWED}"
    raise ValueError(message)


def _split_path(text: str) -> tuple[str, str | None]:
    """`{.a}=b` in two; an `=` within braces, brackets or quotes belongs to the path."""
    depth = 0
    quote = ""
    for position, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and depth:
            quote = letter
        elif letter in "{[":
            depth += 1
        elif letter in "}]":
            depth -= 1
        elif letter == "=" and depth == 0:
            return _unquoted(text[:position]), _unquoted(text[position + 1 :])
    return text, None


def _unquoted(text: str) -> str:
    """`text` without the quotes that a shell would have removed."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text

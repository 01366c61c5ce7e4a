"""The part of kubectl's JSONPath that waiting needs: fields, indexes, `*` and filters.

The one rule: pure, and what is not understood is refused with the place where understanding ended; a silent mismatch
would be a wait that never ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_FIELD = re.compile(r"\.((?:\\.|[^.\[\]\\\s{}'\"=<>!])+)")
_QUOTED = re.compile(r"\[\s*(?:'([^']*)'|\"([^\"]*)\")\s*\]")
_INDEX = re.compile(r"\[\s*(-?\d+)\s*\]")
_EVERY = re.compile(r"\[\s*\*\s*\]|\.\*")
_FILTER = re.compile(r"\[\?\(\s*@((?:[^=!<>\"'()]|\\.)+?)\s*(==|!=)\s*(\"[^\"]*\"|'[^']*'|[^)\s]+)\s*\)\]")


@dataclass(frozen=True, slots=True)
class Field:
    """`.name` or `['name']`."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`[0]`, `[-1]`."""

    position: int


@dataclass(frozen=True, slots=True)
class Every:
    """`[*]`, `.*`."""


@dataclass(frozen=True, slots=True)
class Filter:
    """`[?(@.type=="Ready")]`."""

    path: Path
    equal: bool
    value: str


Step = Field | Index | Every | Filter


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path."""

    text: str
    steps: tuple[Step, ...]

    def values(self, found: object) -> list[Any]:
        """Everything that the path leads to in `found`."""
        reached = [found]
        for step in self.steps:
            reached = [value for current in reached for value in _advance(step, current)]
        return reached


def parse_path(text: str) -> Path:
    """Parse `{.status.phase}`, `.status.phase` or `status.phase`; raises ValueError."""
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1].strip()
    inner = inner.removeprefix("$")
    if inner and inner[0] not in ".[":
        inner = f".{inner}"
    steps = tuple(_steps(inner, whole=text))
    if not steps:
        message = f"{text!r} is no JSONPath: it names no field; an example: {{.status.phase}}"
        raise ValueError(message)
    return Path(text, steps)


def as_text(value: object) -> str:
    """A value as kubectl compares it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _steps(text: str, *, whole: str) -> Iterator[Step]:
    position = 0
    while position < len(text):
        if match := _EVERY.match(text, position):
            yield Every()
        elif match := _FIELD.match(text, position):
            yield Field(re.sub(r"\\(.)", r"\1", match[1]))
        elif match := _QUOTED.match(text, position):
            yield Field(match[1] if match[1] is not None else match[2])
        elif match := _INDEX.match(text, position):
            yield Index(int(match[1]))
        elif match := _FILTER.match(text, position):
            yield Filter(parse_path(match[1]), match[2] == "==", match[3].strip("\"'"))
        else:
            message = (
                f"{whole!r} is no JSONPath that can be waited for: {text[position:]!r} is not understood; "
                "there are .field, ['field'], [0], [*] and [?(@.field==\"value\")]"
            )
            raise ValueError(message)
        position = match.end()


def _advance(step: Step, current: object) -> Iterable[Any]:
    match step:
        case Field(name):
            return [current[name]] if isinstance(current, Mapping) and name in current else []
        case Index(position):
            inside = isinstance(current, list) and -len(current) <= position < len(current)
            return [current[position]] if inside and isinstance(current, list) else []
        case Every():
            if isinstance(current, Mapping):
                return list(current.values())
            return current if isinstance(current, list) else []
        case Filter(path, equal, value):
            items = current if isinstance(current, list) else []
            return [item for item in items if (value in map(as_text, path.values(item))) == equal]

"""The fields of a JSON document, taken one by one.

The one rule: every field is asked for by name and type. What is missing, of the wrong type or never asked for is an
error that names the field and what belongs there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import orjson

from vcluster_syncer.quantities import parse

T = TypeVar("T")


class ConfigError(Exception):
    """A configuration can't be used; the message tells the field."""


class Fields:
    """The fields of one JSON object; remembers which were asked for, so that a misspelt one is not ignored."""

    def __init__(self, values: Mapping[str, Any], source: str) -> None:
        self._values = values
        self.source = source
        self._asked: list[str] = []

    def take(self, name: str, types: type | tuple[type, ...], default: T) -> Any:
        """The value of a field, or `default`."""
        self._asked.append(name)
        value = self._values.get(name, default)
        # A bool is an int to Python, and never meant as one.
        if not isinstance(value, types) or isinstance(value, bool):
            wanted = types if isinstance(types, tuple) else (types,)
            names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in wanted)
            raise ConfigError(f"{self.source}: {name} must be {names}, it is {value!r}")
        return value

    def required(self, name: str) -> str:
        """A text that must be there and not be empty."""
        value = self.take(name, str, "")
        if not value:
            raise ConfigError(f"{self.source}: {name} is missing")
        return str(value)

    def mapping(self, name: str, *, optional: bool = False) -> Fields:
        """A nested object."""
        self._asked.append(name)
        value = self._values.get(name, {} if optional else None)
        if not isinstance(value, dict):
            raise ConfigError(f"{self.source}: {name} must be an object, it is {value!r}")
        return Fields(value, f"{self.source}.{name}")

    def texts(self) -> dict[str, str]:
        """All fields, each of which must be text."""
        for name, value in self._values.items():
            if not isinstance(value, str):
                raise ConfigError(f"{self.source}: {name} must be text, it is {value!r}")
        return dict(self._values)

    def flag(self, name: str) -> bool:
        """A field that is true or false, and false where it is missing."""
        self._asked.append(name)
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.source}: {name} must be true or false, it is {value!r}")
        return value

    def commands(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """A field that is a list of names of programs."""
        found = self.take(name, list, list(default))
        if not all(isinstance(each, str) and each and "/" not in each for each in found):
            raise ConfigError(f"{self.source}: {name} must be a list of commands without their paths, it is {found!r}")
        return tuple(found)

    def quantities(self) -> dict[str, str]:
        """All fields, each of which must be an amount of a resource."""
        found = {}
        for name, value in self._values.items():
            try:
                found[name] = str(value)
                parse(found[name])
            except ValueError as error:
                raise ConfigError(f"{self.source}: {name}: {error}") from error
        return found

    def flags(self) -> dict[str, bool]:
        """All fields, each of which must be true or false."""
        for name, value in self._values.items():
            if not isinstance(value, bool):
                raise ConfigError(f"{self.source}: {name} must be true or false, it is {value!r}")
        return dict(self._values)

    def nothing_else(self) -> None:
        """Complain about fields that nobody asked for."""
        unknown = sorted(set(self._values) - set(self._asked))
        if unknown:
            raise ConfigError(f"{self.source}: unknown {', '.join(unknown)}; known are {', '.join(self._asked)}")


def parse_json(text: bytes, source: str) -> dict[str, Any]:
    """Read a JSON object; `source` is what errors call it."""
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{source} is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ConfigError(f"{source} must be a JSON object")
    return parsed

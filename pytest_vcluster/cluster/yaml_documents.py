"""YAML as Kubernetes reads it: dates stay text, duplicate keys are mistakes, and every document knows its line.

The one rule: what this makes of a text is what kubectl makes of it. Separate from `manifests` because importing YAML
takes longer than reading most manifests, and lists of dicts need none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

_Base: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Go's YAML knows neither dates nor numbers to the base of 60: 2024-01-01 and 22:22 are text in a manifest.
_FOREIGN = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}


@dataclass(frozen=True, slots=True)
class Parsed:
    """One document: its value, its number counting from 1, the line it starts on, and those its list items start on."""

    value: Any
    number: int
    line: int
    item_lines: tuple[int, ...] = ()


class NotYaml(Exception):
    """A text that is no YAML; `number` and `line` say where."""

    def __init__(self, problem: str, *, number: int, line: int | None) -> None:
        super().__init__(problem)
        self.number = number
        self.line = line


class _Loader(_Base):  # type: ignore[misc, valid-type]
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to say it
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _FOREIGN]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = key_node.value
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", key_node.start_mark
                )
            seen.add(key)
        built: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return built

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int | str:
        if ":" in node.value:
            return str(node.value)
        number: int = super().construct_yaml_int(node)
        return number

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float | str:
        if ":" in node.value:
            return str(node.value)
        number: float = super().construct_yaml_float(node)
        return number


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)


def parse(text: str) -> Iterator[Parsed]:
    """Yield every document of `text` that is not empty; raises NotYaml."""
    loader = _Loader(text)
    number = 0
    try:
        while loader.check_node():
            number += 1
            node = loader.get_node()
            # Constructing a mapping with merge keys rewrites the node, so lines are read first.
            lines = _item_lines(node)
            value = loader.construct_document(node)
            if value is not None:
                yield Parsed(value, number, node.start_mark.line + 1, lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise NotYaml(problem, number=max(number, 1), line=mark.line + 1 if mark else None) from error
    finally:
        loader.dispose()


def _item_lines(node: yaml.Node) -> tuple[int, ...]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if getattr(key, "value", None) == "items" and isinstance(value, yaml.SequenceNode):
                return tuple(item.start_mark.line + 1 for item in value.value)
    return ()

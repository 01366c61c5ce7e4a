"""Selectors as they stand in a query: labels by equality and by sets, and fields of an object's metadata.

The one rule: pure, and as strict as an API server. What is no selector is an error that quotes it, never one that
selects everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from vcluster_syncer import ownership
from vcluster_syncer.model import Object
from vcluster_syncer.translate import labels

_KEY: Final = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_VALUE: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_WORDS: Final = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)")
_FIELDS: Final = ("metadata.name", "metadata.namespace")

Selects = Callable[[Object], bool]
"""Whether an object is selected."""


class BadSelector(Exception):
    """A text that is no selector."""


def by_labels(text: str) -> Selects:
    """Read a label selector, https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/; BadSelector."""
    selector = {"matchExpressions": list(_expressions(_Words(text)))}
    return lambda item: labels.matches(selector, ownership.labels_of(item))


def by_fields(text: str) -> Selects:
    """Read a field selector of name and namespace, which are all fields that there are to select by; BadSelector."""
    wanted: list[tuple[str, bool, str]] = []
    for term in filter(None, text.split(",")):
        found = re.fullmatch(r"([^=!]+)(==|!=|=)([^=!]*)", term)
        if found is None or found[1] not in _FIELDS:
            raise BadSelector(f"{term!r} is no field selector of {' or '.join(_FIELDS)}")
        wanted.append((found[1].removeprefix("metadata."), found[2] != "!=", found[3]))

    def selects(item: Object) -> bool:
        return all((item["metadata"].get(field, "") == value) is equal for field, equal, value in wanted)

    return selects


class _Words:
    """A selector in its parts, taken one by one."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words: list[str] = []
        at = 0
        while text[at:].strip():
            found = _WORDS.match(text, at)
            if found is None:
                raise self.wrong()
            self._words.append(found[1])
            at = found.end()

    @property
    def more(self) -> bool:
        return bool(self._words)

    def wrong(self) -> BadSelector:
        return BadSelector(f"{self._text!r} is no label selector")

    def take(self) -> str:
        if not self._words:
            raise self.wrong()
        return self._words.pop(0)

    def taken(self, *words: str) -> str:
        """The next word if it is one of these, empty if not."""
        return self._words.pop(0) if self._words and self._words[0] in words else ""

    def matching(self, pattern: re.Pattern[str], word: str) -> str:
        if not pattern.fullmatch(word):
            raise self.wrong()
        return word

    def value(self) -> str:
        """A value, which may be empty."""
        following = self._words[0] if self._words else ","
        return "" if following in (",", ")") else self.matching(_VALUE, self.take())


def _expressions(words: _Words) -> Iterator[Object]:
    """The requirements, as the API's own label selectors have them."""
    separated = words.more
    while separated:
        yield _expression(words)
        separated = bool(words.taken(","))
    if words.more:
        raise words.wrong()


def _expression(words: _Words) -> Object:
    if words.taken("!"):
        return {"key": words.matching(_KEY, words.take()), "operator": "DoesNotExist"}
    key = words.matching(_KEY, words.take())
    match words.taken("=", "==", "!=", "in", "notin", "<", ">"):
        case "":
            return {"key": key, "operator": "Exists"}
        case "=" | "==":
            return {"key": key, "operator": "In", "values": [words.value()]}
        case "!=":
            return {"key": key, "operator": "NotIn", "values": [words.value()]}
        case "in" | "notin" as operator:
            return {"key": key, "operator": "In" if operator == "in" else "NotIn", "values": _values(words)}
        case operator:
            bound = words.matching(labels.NUMBER, words.take())
            return {"key": key, "operator": "Gt" if operator == ">" else "Lt", "values": [bound]}


def _values(words: _Words) -> list[str]:
    if not words.taken("("):
        raise words.wrong()
    found = [words.value()]
    while not words.taken(")"):
        if not words.taken(","):
            raise words.wrong()
        found.append(words.value())
    return found

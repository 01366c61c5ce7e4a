"""Selectors as they stand in a query: labels by equality and by sets, and fields of an object's metadata.

The one rule: pure, and as strict as an API server. What is no selector is an error that quotes it, never one that
selects everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from vcluster_syncer.model import Object

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
    words = _Words(text)
    requirements = list(_requirements(words)) if words.more else []

    def selects(item: Object) -> bool:
        labels = item["metadata"].get("labels") or {}
        return all(holds(labels) for holds in requirements)

    return selects


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


_Holds = Callable[[Mapping[str, str]], bool]


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


def _requirements(words: _Words) -> Iterator[_Holds]:
    while True:
        yield _requirement(words)
        if not words.more:
            return
        if not words.taken(","):
            raise words.wrong()


def _requirement(words: _Words) -> _Holds:
    if words.taken("!"):
        absent = words.matching(_KEY, words.take())
        return lambda labels: absent not in labels
    key = words.matching(_KEY, words.take())
    match words.taken("=", "==", "!=", "in", "notin", "<", ">"):
        case "":
            return lambda labels: key in labels
        case "=" | "==" | "in" as operator:
            values = _values(words) if operator == "in" else {words.value()}
            return lambda labels: key in labels and labels[key] in values
        case "!=" | "notin" as operator:
            values = _values(words) if operator == "notin" else {words.value()}
            # Also of what has no such label.
            return lambda labels: key not in labels or labels[key] not in values
        case operator:
            return _compared(words, key, greater=operator == ">")


def _compared(words: _Words, key: str, *, greater: bool) -> _Holds:
    bound = words.take()
    if not _is_number(bound):
        raise words.wrong()
    limit = int(bound)

    def holds(labels: Mapping[str, str]) -> bool:
        found = labels.get(key, "")
        return _is_number(found) and (int(found) > limit if greater else int(found) < limit)

    return holds


def _values(words: _Words) -> set[str]:
    if not words.taken("("):
        raise words.wrong()
    found = {words.value()}
    while not words.taken(")"):
        if not words.taken(","):
            raise words.wrong()
        found.add(words.value())
    return found


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]{1,19}", text, re.ASCII) is not None
